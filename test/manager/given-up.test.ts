import { afterAll, beforeAll, expect, test } from "vitest";
import { describeOnHomes } from "../support/homes.ts";
import { openBench } from "../support/manager.ts";
import type { Bench } from "../support/manager.ts";
import { until } from "../support/until.ts";

const TRIES = 4;

describeOnHomes("what is waited for no longer", (home) => {
  let bench: Bench;

  beforeAll(async () => {
    bench = await openBench(home);
  });
  afterAll(() => bench.close());

  /** Backends of this database that wait for a lock. */
  async function waiting(): Promise<number> {
    const [row] = await bench.sql<{ count: string }>(
      `select count(*) from pg_locks join pg_stat_activity using (pid)
        where not granted and datname = current_database()`,
    );
    return Number(row!.count);
  }

  test("is given up by the database too: repetitions do not queue up behind it", async () => {
    const manager = bench.openManager({ lanes: 1, readers: 1, statementTimeoutMs: 500 });
    await manager.updateState("a", "note", 0);
    const blocker = await bench.connect();
    await blocker.query("begin; lock table agent_state.changes in access exclusive mode");
    try {
      for (let tries = 0; tries < TRIES; tries++) {
        const calls = [manager.updateState("a", "note", tries), manager.history("a")];
        for (const { status } of await Promise.allSettled(calls)) expect(status).toBe("rejected");
      }
      await until(async () => (await waiting()) === 0, { timeoutMs: 10_000 });
    } finally {
      await blocker.query("rollback");
    }
    expect(await manager.updateState("a", "note", "after")).toMatchObject({ version: 2n });
  });
});
