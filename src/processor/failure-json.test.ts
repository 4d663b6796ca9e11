import { expect, test } from "vitest";
import { failureJson } from "./failure-json.ts";

const unreadable = Object.defineProperty(new Error(), "message", {
  get() {
    throw new Error("no message");
  },
});
const { proxy: revoked, revoke } = Proxy.revocable({}, {});
revoke();

test.each([
  ["an error", new RangeError("too far"), { name: "RangeError", message: "too far" }],
  ["a text", "no", { message: "no" }],
  ["what is no JSON", 1n, { message: "the handler threw what is no JSON" }],
  ["a symbol", Symbol("s"), { message: "the handler threw Symbol(s)" }],
  [
    "an error that cannot be read",
    unreadable,
    { message: "the handler threw what cannot be read" },
  ],
  ["a proxy of nothing", revoked, { message: "the handler threw what cannot be read" }],
])("%s that a handler threw is told as the failure of its task", (_what, thrown, told) => {
  expect(failureJson(thrown)).toEqual(told);
});
