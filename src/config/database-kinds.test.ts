import { expect, test } from "vitest";
import { dataApiKey, databaseUrl } from "./database-kinds.ts";
import type { Kind } from "./kinds.ts";

const url = databaseUrl();
const key = dataApiKey();

function parse(kind: Kind<string>, raw: unknown): string {
  const parsed = kind.parse(raw, { isText: false, cwd: "/" });
  return parsed.ok ? parsed.value : parsed.problems.map(({ says }) => `refused: ${says}`).join();
}

test.each([
  ["postgres://app:hunter2@db/main", "postgres://app:***@db/main"],
  ['postgres://app:hun"ter2@db/main', "postgres://app:***@db/main"],
  ["postgres://db/main?password=hunter2", "postgres://db/main?password=***"],
  ["postgres://app@db/main", "postgres://app@db/main"],
  ["https://abc.supabase.co", "https://abc.supabase.co"],
  ["", ""],
])("%s is shown as %s", (value, shown) => {
  expect(url.show(value)).toBe(shown);
});

test.each([
  "",
  "postgresql://app@db:6543/main?sslmode=require",
  "postgres://postgres.ref:secret@aws-1-eu-central-1.pooler.supabase.com:5432/postgres",
  "https://abc.supabase.co",
  "https://abc.supabase.co/",
  "https://api.example.org/rest/v1",
  "http://127.0.0.1:54321",
  "http://localhost:54321",
  "http://[::1]:54321",
])("%j is a database", (value) => {
  expect(parse(url, value)).toBe(value);
});

test.each([
  ["mysql://db/x", "must be a postgres:// URL"],
  ["db:5432", "must be a postgres:// URL"],
  [5, "must be a postgres:// URL"],
  ["postgres://app:a#b@db/main", "%23"],
  ["https://[", "not a URL that can be read"],
  ["https://abc.supabase.co?apikey=x", "no user, password or parameters"],
  ["https://app:secret@abc.supabase.co", "no user, password or parameters"],
  ["http://abc.supabase.co", "in the clear"],
  ["http://127.evil.example", "in the clear"],
])("%j is none, and it is said why", (value, says) => {
  expect(parse(url, value)).toContain(`refused: `);
  expect(parse(url, value)).toContain(says);
});

test.each(["", "sb_secret_a-B_9", "eyJh.eyJy.c2ln", "sb_publishable_abc eyJh.eyJy.c2ln"])(
  "%j is a key, and is not shown",
  (value) => {
    expect(parse(key, value)).toBe(value);
    expect(key.show(value)).toBe(value === "" ? "" : "***");
  },
);

test.each([
  ["sb_publishable_abc", "is a publishable key"],
  ["sb_secret_a sb_secret_b", "must be a key"],
  ["a\nb", "must be a key"],
  ["ü", "must be a key"],
  [7, "must be a key"],
])("%j is no key, and is not told", (value, says) => {
  expect(parse(key, value)).toContain(says);
  expect(parse(key, value)).not.toContain(`${value}`);
});
