import fc from "fast-check";
import { expect, test } from "vitest";
import { backoffMs } from "./backoff.ts";

test("pauses double, up to the longest", () => {
  const backoff = { firstMs: 100, maxMs: 1_000 };
  const almostOne = 1 - Number.EPSILON;
  expect([1, 2, 3, 4, 5, 100].map((n) => backoffMs(n, backoff, almostOne))).toEqual([
    100, 200, 400, 800, 1_000, 1_000,
  ]);
  expect([1, 2, 3].map((n) => backoffMs(n, backoff, 0))).toEqual([50, 100, 200]);
});

test("a pause is never longer than the longest, nor shorter than half of the first", () => {
  const share = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
  fc.assert(
    fc.property(
      fc.nat(),
      fc.integer({ min: 2, max: 1_000 }),
      share,
      (failures, firstMs, random) => {
        const pauseMs = backoffMs(failures, { firstMs, maxMs: 5_000 }, random);
        expect(pauseMs).toBeLessThanOrEqual(5_000);
        expect(pauseMs).toBeGreaterThanOrEqual(Math.floor(firstMs / 2));
      },
    ),
  );
});
