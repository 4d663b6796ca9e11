import { InvalidArgumentError } from "commander";
import { expect, test } from "vitest";
import { appendArgument, speedArgument, versionNumber, wholeNumber } from "./arguments.ts";

test("a speed is recorded, full, or a factor", () => {
  expect(speedArgument("recorded")).toBe(1);
  expect(speedArgument("full")).toBe(Infinity);
  expect(speedArgument("10x")).toBe(10);
  expect(speedArgument("0.5X")).toBe(0.5);
});

test.each(["", "fast", "0x", "-1x", "10", "1e3x", "x"])("%j is no speed", (text) => {
  expect(() => speedArgument(text)).toThrow(InvalidArgumentError);
});

test("a version is read with all of its 64 bits", () => {
  expect(versionNumber(1n)("9223372036854775807")).toBe(9223372036854775807n);
});

test.each(["", "0", "-1", "1.5", "0x1", "9223372036854775808", "1e3", "١"])(
  "%j is no version",
  (text) => {
    expect(() => versionNumber(1n)(text)).toThrow(InvalidArgumentError);
  },
);

test("a number outside of its bounds is refused with the bounds", () => {
  expect(wholeNumber(1, 1_000)("1000")).toBe(1_000);
  expect(() => wholeNumber(1, 1_000)("1001")).toThrow("from 1 to 1000");
  expect(() => wholeNumber(1, 1_000)("")).toThrow(InvalidArgumentError);
});

test("what is appended stands behind the first =, and may be repeated", () => {
  const first = appendArgument('/messages={"content":"a=b"}');
  expect(first).toEqual({ path: "/messages", items: [{ content: "a=b" }] });
  expect(appendArgument("/messages=2", first).items).toEqual([{ content: "a=b" }, 2]);
});

test("what cannot be appended is refused", () => {
  expect(() => appendArgument("/messages")).toThrow("POINTER=JSON");
  expect(() => appendArgument("/messages=hello")).toThrow("not valid JSON");
  expect(() => appendArgument('/messages={"a":1,"a":2}')).toThrow('"a"');
  expect(() => appendArgument("/b=1", { path: "/a", items: [1] })).toThrow("same array");
});
