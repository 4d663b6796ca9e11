import { readdirSync } from "node:fs";
import { expect, test } from "vitest";
import { lockDirectory } from "../../src/embedded/lock.ts";
import { scratchFolder } from "./support.ts";

test("of many who find a stale lock at once, exactly one gets it, again and again", async () => {
  const folder = scratchFolder();
  for (let round = 0; round < 20; round += 1) {
    const contenders = Array.from({ length: 16 }, () => lockDirectory(folder, "the directory"));
    const outcomes = await Promise.allSettled(contenders);
    const locks = outcomes.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
    const refusals = outcomes.flatMap((one) => (one.status === "rejected" ? [one.reason] : []));
    expect(locks).toHaveLength(1);
    for (const error of refusals as unknown[]) {
      expect(error).toMatchObject({ code: "DATA_DIRECTORY" });
      expect((error as Error).message).toContain(`pid ${process.pid}`);
    }
    await locks[0]!.release();
  }
  expect(readdirSync(folder)).toEqual(["lock.20"]);
});

test("a released lock can be taken at once", async () => {
  const folder = scratchFolder();
  const first = await lockDirectory(folder, "the directory");
  await expect(lockDirectory(folder, "the directory")).rejects.toThrow(`kill ${process.pid}`);
  await first.release();
  await (await lockDirectory(folder, "the directory")).release();
});
