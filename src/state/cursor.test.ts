import fc from "fast-check";
import { expect, test } from "vitest";
import { comparePositions, FEED_START, formatCursor, parseCursor } from "./cursor.ts";

const lineage = "1400a2f0-fbed-4688-adf5-da0477121973";
const big = fc.bigInt({ min: 0n, max: 2n ** 63n - 1n });
const position = fc.record({ xid: big, scopeNo: big, step: big, position: fc.nat(1_000) });

test("a cursor gives its position back", () => {
  fc.assert(
    fc.property(position, (at) => {
      expect(parseCursor(lineage, formatCursor(lineage, at))).toEqual(at);
    }),
  );
});

test('"0" is before everything, in any history', () => {
  expect(parseCursor(lineage, "0")).toEqual(FEED_START);
  fc.assert(
    fc.property(position, (at) => {
      expect(comparePositions(FEED_START, at)).toBeLessThanOrEqual(0);
    }),
  );
});

test("a cursor of another history is known as such", () => {
  const other = formatCursor("ffffffff-0000-4000-8000-000000000000", FEED_START);
  expect(parseCursor(lineage, other)).toBeNull();
});

test.each([
  "",
  "1",
  "yesterday",
  "1400a2f0-1-2-3",
  "1400a2f0-1-2-3-4-5",
  "1400A2F0-1-2-3-4",
  `1400a2f0-${"1".repeat(90)}-1-1-1`,
])("%j is refused, with what to do", (cursor) => {
  expect(() => parseCursor(lineage, cursor)).toThrow(/Pass one that came with a change/);
});

test("positions are ordered by transaction, scope, step and place", () => {
  const parts = ["xid", "scopeNo", "step", "position"] as const;
  fc.assert(
    fc.property(position, position, (a, b) => {
      const first = parts.find((part) => a[part] !== b[part]);
      const expected = first === undefined ? 0 : a[first] < b[first] ? -1 : 1;
      expect(Math.sign(comparePositions(a, b))).toBe(expected);
    }),
  );
});
