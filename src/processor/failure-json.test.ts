import { expect, test } from "vitest";
import { failureJson } from "./failure-json.ts";

const unreadable = Object.defineProperty(new Error(), "message", {
  get() {
    throw new Error("no message");
  },
});
const { proxy: revoked, revoke } = Proxy.revocable({}, {});
revoke();

const circle: Error & { cause?: unknown } = new Error("round");
circle.cause = circle;
const coded = (code: unknown): Error => Object.assign(new Error("e"), { code });
const round = { name: "Error", message: "round" };

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
  ["a code that is no number", coded(Number.NaN), { name: "Error", message: "e" }],
  [
    "a code that no database takes",
    coded(`\0\uD800${"x".repeat(3_000)}`),
    { name: "Error", message: "e", code: `\uFFFD\uFFFD${"x".repeat(1_998)}` },
  ],
  [
    "an error with its cause",
    new TypeError("fetch failed", { cause: coded("ECONNREFUSED") }),
    {
      name: "TypeError",
      message: "fetch failed",
      cause: { name: "Error", message: "e", code: "ECONNREFUSED" },
    },
  ],
  [
    "an error that causes itself",
    circle,
    { ...round, cause: { ...round, cause: { ...round, cause: round } } },
  ],
  ["a proxy of nothing", revoked, { message: "the handler threw what cannot be read" }],
])("%s that a handler threw is told as the failure of its task", (_what, thrown, told) => {
  expect(failureJson(thrown)).toEqual(told);
});
