import { expect, test } from "vitest";
import { mapInOrder } from "./side-by-side.ts";

test("results come in the order of their items, however long each takes", async () => {
  const releases: (() => void)[] = [];
  const results = mapInOrder(["a", "b", "c"], 3, async (item) => {
    await new Promise<void>((resolve) => releases.push(resolve));
    return item.toUpperCase();
  });
  for (const release of releases.toReversed()) release();
  expect(await results).toEqual(["A", "B", "C"]);
});

test("no more than the limit are under way at once", async () => {
  let now = 0;
  let most = 0;
  await mapInOrder(Array.from({ length: 20 }), 4, async () => {
    most = Math.max(most, ++now);
    await Promise.resolve();
    now -= 1;
  });
  expect(most).toBe(4);
});

test("after a failure nothing more is started", async () => {
  const started: number[] = [];
  const work = mapInOrder([0, 1, 2, 3, 4], 2, async (item) => {
    started.push(item);
    await Promise.resolve();
    if (item === 1) throw new Error("no");
  });
  await expect(work).rejects.toThrow("no");
  expect(started.length).toBeLessThan(5);
});
