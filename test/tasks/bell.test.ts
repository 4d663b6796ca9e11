import { afterAll, beforeAll, expect, test } from "vitest";
import { describeOnHomes } from "../support/homes.ts";
import { openBench } from "../support/manager.ts";
import type { Bench } from "../support/manager.ts";
import { until } from "../support/until.ts";

const PATIENT = { timeoutMs: 60_000 };

describeOnHomes("a claim that waits", (home) => {
  let bench: Bench;
  beforeAll(async () => {
    bench = await openBench(home);
  });
  afterAll(() => bench.close());

  const me = { worker: "w", incarnation: "1" };
  const isPooled = home.name === "pgbouncer";
  /** Where it can be woken, looking by itself would come much too late. */
  const pollMs = isPooled ? 50 : 600_000;

  async function listeners(): Promise<number> {
    const rows = await bench.sql(
      `select from pg_stat_activity where query = 'listen agent_runtime_tasks' and datname = current_database()`,
    );
    return rows.length;
  }

  test("is woken by what another process pushes, gives back, or lets run again", async () => {
    const [here, there] = [bench.openManager({ pollMs }), bench.openManager({ pollMs })];
    const claim = { ...me, waitMs: 120_000 };
    const first = here.tasks.claim(claim);
    const { id } = await there.tasks.push("s", {});
    const [task] = await first;
    expect(task).toMatchObject({ id });
    const second = here.tasks.claim({ ...claim, incarnation: "2" });
    await there.tasks.release(id, { epoch: task!.epoch });
    expect(await second).toMatchObject([{ id }]);
  });

  test("is woken again after the connection that listens was cut", async () => {
    const [here, there] = [bench.openManager({ pollMs }), bench.openManager({ pollMs })];
    const waiting = here.tasks.claim({ ...me, worker: "cut", kinds: ["cut"], waitMs: 120_000 });
    const heard = isPooled ? 0 : 2; // this test's, and the one before's
    await until(async () => (await listeners()) === heard, PATIENT);
    await bench.sql(
      `select pg_terminate_backend(pid) from pg_stat_activity where query = 'listen agent_runtime_tasks' and datname = current_database()`,
    );
    await until(async () => (await listeners()) === heard, PATIENT);
    const { id } = await there.tasks.push("cut", { kind: "cut" });
    expect(await waiting).toMatchObject([{ id }]);
  });
});
