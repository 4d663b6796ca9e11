import { expect, test } from "vitest";
import { AgentRuntimeError } from "./errors.ts";
import { checkFields, nearest } from "./nearest.ts";

const fields = ["type", "data", "scope", "phase", "expectedVersion", "expiresAt"];

test.each([
  ["dta", "data"],
  ["daat", "data"],
  ["tpye", "type"],
  ["Type", "type"],
  ["expected_version", "expectedVersion"],
  ["expectVersion", "expectedVersion"],
  ["expires", "expiresAt"],
  ["scopes", "scope"],
])("%s is near %s", (word, meant) => {
  expect(nearest(word, fields)).toBe(meant);
});

test.each(["colour", "x", "", "t", "datatypes", "y".repeat(5000), "__proto__"])(
  "%s is near nothing",
  (word) => {
    expect(nearest(word, fields)).toBeUndefined();
  },
);

test("of two that are as near, the first known one is told", () => {
  expect(nearest("bat", ["cat", "hat"])).toBe("cat");
  expect(nearest("hat", ["cat", "hat"])).toBe("hat");
});

test("an unknown field is refused with its name and the nearest one that is known", () => {
  const check = () => checkFields({ type: "task", dta: {} }, fields, "the body");
  expect(check).toThrow('the body has an unknown field "dta"; did you mean "data"?');
  expect(check).toThrow(
    expect.objectContaining({ code: "UNKNOWN_FIELD", facts: { field: "dta", nearest: "data" } }),
  );
});

test("an unknown field that is near nothing is refused with all that are known", () => {
  const check = () => checkFields({ colour: 1 }, fields, "the body");
  expect(check).toThrow("it may have: type, data, scope");
  expect(check).toThrow(AgentRuntimeError);
});

test("a name inherited by every object is not a known field", () => {
  expect(() => checkFields({ toString: 1 }, fields, "the body")).toThrow("toString");
  expect(() => checkFields(JSON.parse('{"__proto__": 1}') as object, fields, "it")).toThrow(
    "__proto__",
  );
});

test("known fields pass", () => {
  expect(() => checkFields({ type: "task", data: null }, fields, "the body")).not.toThrow();
});

test("a hostile field name is told short and escaped", () => {
  const hostile = `\u202e\n${"x".repeat(10_000)}`;
  expect(() => checkFields({ [hostile]: 1 }, fields, "it")).toThrow(/"\\u\{202e\}\\nx{50,60}…"/);
});
