import { expect, test } from "vitest";
import {
  checkActor,
  checkCause,
  checkId,
  checkIdempotencyKey,
  checkNamespace,
  checkPhase,
  checkScope,
  checkType,
  parseVersion,
} from "./identifiers.ts";

test.each([
  "a",
  "task-1",
  "order:2026-11-22.7",
  "~x",
  "Zürich Büro 3",
  "エージェント",
  "👩‍🔬",
  "a".repeat(200),
  "😀".repeat(200),
  "...",
  "a?b#c%20",
  "__proto__",
])("%s is an id, and the name of a scope", (id) => {
  expect(checkId(id)).toBe(id);
  expect(checkScope(id)).toBe(id);
});

test.each([
  ["nothing", undefined, "the id is a text, not undefined"],
  ["a number", 7, "the id is a text, not the number 7"],
  ["a list", ["a"], "not an array"],
  ["an empty text", "", "the id is empty"],
  ["201 characters", "a".repeat(201), "it may have 200 characters"],
  ["201 characters beyond the first plane", "😀".repeat(201), "it may have 200 characters"],
  ["a million characters", "a".repeat(1_000_000), "it may have 200 characters"],
  ["a slash", "a/b", 'it may not hold "/"'],
  [".", ".", "no address can hold it"],
  ["..", "..", "no address can hold it"],
  ["NUL", "a\0b", "U+0000"],
  ["a line break", "a\nb", "U+000A"],
  ["DEL", "a\u007f", "U+007F"],
  ["a C1 control", "a\u0085b", "U+0085"],
  ["half of a surrogate pair", "a\ud83d", "U+D83D"],
  ["a line separator", "a\u2028b", "U+2028"],
  ["a turn of direction", "a\u202eb", "U+202E"],
  ["a noncharacter", "a\uffffb", "U+FFFF"],
  ["a space in front", " a", "starts or ends with white space"],
  ["a no-break space behind", "a\u00a0", "starts or ends with white space"],
  ["nothing visible", "\u200d", "nobody could see it"],
  ["a filler that looks like nothing", "\u3164", "nobody could see it"],
])("%s is no id", (_, id, message) => {
  expect(() => checkId(id)).toThrow(
    expect.objectContaining({
      code: "INVALID_ID",
      facts: { field: "id" },
      message: expect.stringContaining(message),
    }),
  );
  expect(() => checkScope(id)).toThrow(expect.objectContaining({ code: "INVALID_SCOPE" }));
});

test("how many characters an id may have can be set", () => {
  expect(checkId("12345", 5)).toBe("12345");
  expect(() => checkId("123456", 5)).toThrow("it may have 5 characters");
});

test.each(["task", "my.type", "A_1-b", "7", "a".repeat(64)])("%s is a type", (word) => {
  expect(checkType(word)).toBe(word);
  expect(checkNamespace(word)).toBe(word);
});

test.each(["", "-a", ".a", "_a", "a b", "ä", "a/b", "a".repeat(65), "a\n", null, 1])(
  "%j is no type and no namespace",
  (word) => {
    expect(() => checkType(word)).toThrow(expect.objectContaining({ code: "INVALID_TYPE" }));
    expect(() => checkNamespace(word)).toThrow(
      expect.objectContaining({ code: "INVALID_NAMESPACE" }),
    );
  },
);

test("what is wrong with a type is said together with what is allowed", () => {
  expect(() => checkType("my type")).toThrow(
    'the type "my type" is not allowed: it may hold A-Z a-z 0-9 . _ - and starts with a letter',
  );
});

test("a phase is a word", () => {
  expect(checkPhase("anything")).toBe("anything");
  expect(() => checkPhase("")).toThrow(expect.objectContaining({ code: "INVALID_PHASE" }));
});

test("an actor and an idempotency key are one line of up to 200 characters", () => {
  for (const check of [checkActor, checkIdempotencyKey]) {
    expect(check("worker/7 of Jörg")).toBe("worker/7 of Jörg");
    expect(check("é".repeat(200))).toHaveLength(200);
    for (const bad of ["", "x".repeat(201), "a\nb", "a\0", " a", 7]) {
      expect(() => check(bad)).toThrow(expect.objectContaining({ code: "INVALID_REQUEST" }));
    }
  }
  expect(() => checkIdempotencyKey(1)).toThrow(
    expect.objectContaining({ facts: { field: "idempotencyKey" } }),
  );
});

test("a cause may have lines, and 1,000 characters", () => {
  expect(checkCause("Retry:\n\tthe tool timed out ")).toBe("Retry:\n\tthe tool timed out ");
  expect(checkCause("x".repeat(1_000))).toHaveLength(1_000);
  for (const bad of ["", "x".repeat(1_001), "a\0", "\ud800", "\u001b[31m", null]) {
    expect(() => checkCause(bad)).toThrow(expect.objectContaining({ code: "INVALID_REQUEST" }));
  }
});

test("a version is decimal text or a bigint from 0 to 2^63-1", () => {
  expect(parseVersion("0", "INVALID_VERSION")).toBe(0n);
  expect(parseVersion("9223372036854775807", "INVALID_VERSION")).toBe(2n ** 63n - 1n);
  expect(parseVersion(42n, "INVALID_STEP")).toBe(42n);
  const bad = [
    "abc",
    "-1",
    "1.5",
    "",
    "1e3",
    "01",
    " 1",
    "+1",
    "9223372036854775808",
    "9".repeat(99),
  ];
  for (const version of [...bad, -1n, 2n ** 63n, 7, null, undefined, {}]) {
    expect(() => parseVersion(version, "INVALID_VERSION")).toThrow(
      expect.objectContaining({ code: "INVALID_VERSION" }),
    );
    expect(() => parseVersion(version, "INVALID_STEP")).toThrow(
      expect.objectContaining({ code: "INVALID_STEP" }),
    );
  }
  expect(() => parseVersion(7, "INVALID_VERSION", "epoch")).toThrow(
    expect.objectContaining({
      message: expect.stringMatching(/^"epoch" must .* not the number 7$/),
      facts: { field: "epoch" },
    }),
  );
});
