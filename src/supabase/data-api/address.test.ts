import { expect, test } from "vitest";
import { keyHeaders, restUrl } from "./address.ts";

test.each([
  ["https://abc.supabase.co", "https://abc.supabase.co/rest/v1"],
  ["https://abc.supabase.co/", "https://abc.supabase.co/rest/v1"],
  ["https://abc.supabase.co/rest/v1/", "https://abc.supabase.co/rest/v1"],
  ["https://api.example.org/db", "https://api.example.org/db"],
  ["http://127.0.0.1:54321", "http://127.0.0.1:54321/rest/v1"],
])("the functions of %s are below %s", (url, base) => {
  expect(restUrl(url)).toBe(base);
});

test.each([
  ["sb_secret_a", { apikey: "sb_secret_a" }],
  ["eyJh.eyJy.c2ln", { apikey: "eyJh.eyJy.c2ln", authorization: "Bearer eyJh.eyJy.c2ln" }],
  [
    "sb_publishable_a eyJh.eyJy.c2ln",
    { apikey: "sb_publishable_a", authorization: "Bearer eyJh.eyJy.c2ln" },
  ],
])("the key %s is shown where it belongs", (key, headers) => {
  expect(keyHeaders(key)).toEqual(headers);
});
