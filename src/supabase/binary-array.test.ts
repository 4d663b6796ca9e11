import { expect, test } from "vitest";
import { bigintArray, integerArray, placeArray, textArray } from "./binary-array.ts";

/** What PostgreSQL reads from an array's binary form: the type of its items, and each one's bytes. */
function decode(buffer: Buffer): { type: number; hasNull: boolean; items: (Buffer | null)[] } {
  expect(buffer.readInt32BE(0)).toBe(1); // dimensions
  expect(buffer.readInt32BE(16)).toBe(1); // lower bound
  const items: (Buffer | null)[] = [];
  let offset = 20;
  for (let left = buffer.readInt32BE(12); left > 0; left--) {
    const length = buffer.readInt32BE(offset);
    offset += 4;
    items.push(length < 0 ? null : buffer.subarray(offset, offset + length));
    offset += Math.max(0, length);
  }
  expect(offset).toBe(buffer.length);
  return { type: buffer.readInt32BE(8), hasNull: buffer.readInt32BE(4) === 1, items };
}

test("texts keep every character, nulls are nulls", () => {
  const texts = ["a", "", null, "é𝄞\u2028", "x".repeat(70_000)];
  const { type, hasNull, items } = decode(textArray(texts)!);
  expect([type, hasNull]).toEqual([25, true]);
  expect(items.map((item) => item?.toString() ?? null)).toEqual(texts);
  expect(decode(textArray(["{}"], "json")!)).toMatchObject({ type: 114, hasNull: false });
});

test("numbers keep all their bits", () => {
  const numbers = [0n, -1n, null, 2n ** 63n - 1n, -(2n ** 63n)];
  const { type, items } = decode(bigintArray(numbers)!);
  expect(type).toBe(20);
  expect(items.map((item) => item?.readBigInt64BE() ?? null)).toEqual(numbers);
  const integers = decode(integerArray([1, -7, 2 ** 31 - 1]));
  expect(integers.type).toBe(23);
  expect(integers.items.map((item) => item!.readInt32BE())).toEqual([1, -7, 2 ** 31 - 1]);
});

test("nothing but nulls is no array at all: the cheapest way to say that nobody asked", () => {
  expect([textArray([null, null]), bigintArray([null])]).toEqual([null, null]);
});

test("places are a block's number and an offset in it", () => {
  const { type, items } = decode(placeArray([2 ** 48 - 1, null, 3 * 65_536 + 7]));
  expect(type).toBe(27);
  expect(items.map((item) => item && [item.readUInt32BE(0), item.readUInt16BE(4)])).toEqual([
    [2 ** 32 - 1, 65_535],
    null,
    [3, 7],
  ]);
});
