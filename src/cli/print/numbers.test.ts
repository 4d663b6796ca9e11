import { expect, test } from "vitest";
import { formatBytes, formatCount, formatDuration, formatTime, percentile } from "./numbers.ts";

test("sizes have the unit that fits", () => {
  expect([0, 1023, 1536, 20_000, 5 * 1024 ** 3].map(formatBytes)).toEqual([
    "0 B",
    "1023 B",
    "1.5 KiB",
    "20 KiB",
    "5.0 GiB",
  ]);
});

test("durations have the unit that fits", () => {
  expect([0.123, 12.4, 1_500, 125_000].map(formatDuration)).toEqual([
    "0.12 ms",
    "12 ms",
    "1.5 s",
    "2 min 05 s",
  ]);
});

test("large counts can be read, 64-bit ones too", () => {
  expect(formatCount(1_234_567)).toBe("1,234,567");
  expect(formatCount(2n ** 53n + 1n)).toBe("9,007,199,254,740,993");
});

test("a time has the form that tables sort by", () => {
  expect(formatTime(new Date(2026, 10, 3, 4, 5, 6))).toBe("2026-11-03 04:05:06");
});

test("a percentile is one of the values", () => {
  const values = Array.from({ length: 100 }, (_, index) => index + 1);
  expect(percentile(values, 0.5)).toBe(50);
  expect(percentile(values, 0.99)).toBe(99);
  expect(percentile([7], 0.99)).toBe(7);
  expect(percentile([], 0.5)).toBe(0);
});
