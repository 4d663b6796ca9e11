import { expect, test } from "vitest";
import { Slots } from "./slots.ts";

test("so many run at a time, and the others in the order they came, whatever becomes of each", async () => {
  const slots = new Slots(2);
  const begun: number[] = [];
  const ends: ((failed: boolean) => void)[] = [];
  const runs = [0, 1, 2, 3].map((number) =>
    slots.run(async () => {
      begun.push(number);
      if (await new Promise<boolean>((resolve) => ends.push(resolve))) throw new Error("failed");
      return number;
    }),
  );
  const outcomes = Promise.allSettled(runs);
  expect(begun).toEqual([0, 1]);
  ends[1]!(true);
  await Promise.allSettled([runs[1]]);
  expect(begun).toEqual([0, 1, 2]);
  ends[0]!(false);
  await runs[0];
  expect(begun).toEqual([0, 1, 2, 3]);
  ends[2]!(false);
  ends[3]!(false);
  expect((await outcomes).map(({ status }) => status)).toEqual([
    "fulfilled",
    "rejected",
    "fulfilled",
    "fulfilled",
  ]);
  expect(await slots.run(async () => "free again")).toBe("free again");
});
