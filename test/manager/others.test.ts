import { afterAll, beforeAll, expect, test } from "vitest";
import type { StateManager } from "../../src/manager/state-manager.ts";
import { describeOnPostgres } from "../support/homes.ts";
import { openBench } from "../support/manager.ts";
import type { Bench } from "../support/manager.ts";
import { until } from "../support/until.ts";

/** Longer than any of these tests may take: what it would bring comes too late. */
const NEVER_MS = 60_000;
const SOON = { timeoutMs: 20_000 };
/** What neighbors on the same server have open hides a change for that long, however soon it was told: so it is told again. */
const AGAIN_MS = 250;

describeOnPostgres("what another process commits", (home) => {
  let bench: Bench;
  let here: StateManager;
  let there: StateManager;
  let telling: NodeJS.Timeout;

  beforeAll(async () => {
    bench = await openBench(home);
    here = bench.openManager({ pollMs: NEVER_MS, isAlone: false });
    there = bench.openManager({ pollMs: NEVER_MS, isAlone: false });
    telling = setInterval(() => {
      void there.updateState("another", "note", { at: Date.now() }).catch(() => undefined);
    }, AGAIN_MS);
  });

  afterAll(() => {
    clearInterval(telling);
    return bench.close();
  });

  test("reaches a watcher as soon as it is told, without a look in between", async () => {
    const signal = AbortSignal.timeout(SOON.timeoutMs);
    const after = await here.feedHead();
    const events = here.watch({ after, id: "watched", signal })[Symbol.asyncIterator]();
    for (const version of [1n, 2n, 3n]) {
      await there.updateState("watched", "note", { version: Number(version) });
      expect((await events.next()).value).toMatchObject({ id: "watched", version });
    }
    await events.return?.();
  });

  test("replaces what this process's own memory holds of it", async () => {
    const cached = { consistency: "eventual" } as const;
    await here.updateState("cached", "note", { by: "here" });
    expect(await here.getState("cached", cached)).toMatchObject({ version: 1n });
    await there.updateState("cached", "note", { by: "there" });
    const isNew = async (): Promise<boolean> =>
      (await here.getState("cached", cached)).version === 2n;
    await until(isNew, SOON);
  });

  test("is not told by who has the database for itself", () => {
    expect(bench.openStore({ isAlone: true }).changeBell).toBeNull();
  });
});
