import fc from "fast-check";
import { expect, test } from "vitest";
import { columnsOf, pad, printable, printableLines, truncate } from "./text.ts";

test("wide characters take two columns, marks none, plain ones one", () => {
  expect(columnsOf("plain")).toBe(5);
  expect(columnsOf("日本")).toBe(4);
  expect(columnsOf("e\u0301")).toBe(1);
  expect(columnsOf("🚀")).toBe(2);
  expect(columnsOf("👩‍👩‍👧")).toBe(2);
});

test("what does not fit ends in …, and never in half a character", () => {
  expect(truncate("agent-1", 7)).toBe("agent-1");
  expect(truncate("agent-12", 7)).toBe("agent-…");
  expect(truncate("日本語", 4)).toBe("日…");
  expect(truncate("👩‍👩‍👧👩‍👩‍👧", 3)).toBe("👩‍👩‍👧…");
});

test("a truncated text takes no more columns than it may", () => {
  fc.assert(
    fc.property(fc.string({ unit: "grapheme" }), fc.integer({ min: 1, max: 30 }), (text, width) => {
      expect(columnsOf(truncate(text, width))).toBeLessThanOrEqual(width);
    }),
  );
});

test("padding counts columns, not characters", () => {
  expect(pad("日", 4)).toBe("日  ");
  expect(pad("7", 3, "left")).toBe("  7");
});

test("nothing that moves the cursor or forges a line is printed as it came", () => {
  expect(printable("a\u001b[2Jb\r\nc\u202e")).toBe("a\\u{1b}[2Jb\\u{d}\\u{a}c\\u{202e}");
  expect(printableLines("a\n\tb\u0007")).toBe("a\n\tb\\u{7}");
});
