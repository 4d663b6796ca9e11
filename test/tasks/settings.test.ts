import { tmpdir } from "node:os";
import { afterAll, beforeAll, expect, test } from "vitest";
import { loadConfig } from "../../src/config/load.ts";
import type { StateManager } from "../../src/manager/state-manager.ts";
import { tasksInfo } from "../../src/runtime/tasks.ts";
import type { Logger } from "../../src/service/log-port.ts";
import { silentLog } from "../../src/service/log.ts";
import type { TaskStore } from "../../src/state/task-port.ts";
import { DEFAULT_TASK_SETTINGS } from "../../src/tasks/task-settings.ts";
import { describeOnPostgres } from "../support/homes.ts";
import { openBench } from "../support/manager.ts";
import type { Bench } from "../support/manager.ts";
import { pushOf, Tasks } from "../support/tasks.ts";
import { until } from "../support/until.ts";

describeOnPostgres("tasks", (home) => {
  let bench: Bench;
  let store: TaskStore;
  let count = 0;

  beforeAll(async () => {
    bench = await openBench(home);
    ({ tasks: store } = bench.openStore());
  });

  afterAll(() => bench.close());

  test("lose their worker as often as the service allows, also where that comes back before a sweep", async () => {
    const namespace = `n${++count}`;
    const tasks = new Tasks(store, namespace);
    try {
      await until(async () => (await store.sweep(1_000, 1)) !== null);
      await tasks.push(pushOf("a"));
      for (const phase of ["ready", "confused"]) {
        await tasks.claimOne("w");
        await bench.sql(
          "update agent_state.workers set lease_until = clock_timestamp() where namespace = $1",
          [namespace],
        );
        await store.heartbeat(namespace, tasks.order("w"));
        expect(await tasks.stack()).toEqual([`a ${phase}`]);
      }
    } finally {
      await until(async () => (await store.sweep(1_000)) !== null);
    }
  });

  test("are held, tried and nested as the service is set", async () => {
    expect(loadConfig({ cwd: tmpdir(), env: {} }).tasks).toEqual(DEFAULT_TASK_SETTINGS);
    const settings = { leaseMs: 3_000, maxDepth: 1, maxAttempts: 1, backoffMs: 0 };
    const manager = bench.openManager({ tasks: settings });
    try {
      const who = { namespace: `n${++count}`, worker: "w", incarnation: "1" };
      const { leaseMs } = await manager.tasks.heartbeat("w", who);
      expect(leaseMs).toBe(3_000);
      await manager.tasks.push("agent", { ...who, id: "a" });
      await manager.tasks.push("agent", { ...who, id: "a.child", parent: "a", priority: -1 });
      const third = manager.tasks.push("agent", { ...who, parent: "a.child" });
      await expect(third).rejects.toMatchObject({ code: "TASK_TOO_DEEP" });
      const [task] = await manager.tasks.claim(who);
      const report = { ...who, epoch: task!.epoch, error: "no" };
      expect(await manager.tasks.fail("a", report)).toMatchObject({ phase: "failed" });
    } finally {
      await manager.close();
    }
  });

  test("are counted, whoever does it: what cuts in, is lost, comes too late, ends by the clock", async () => {
    const manager = bench.openManager({ tasks: { sweepMs: 100 } });
    try {
      const { tasks } = manager;
      const who = { namespace: `n${++count}`, worker: "w", incarnation: "1" };
      await tasks.push("agent", { ...who, id: "low", kind: "mail" });
      const [low] = await tasks.claim(who);
      await tasks.push("agent", { ...who, id: "now", preempt: "now", deadline: new Date() });
      const late = { ...who, parent: "low", parentEpoch: low!.epoch };
      await expect(tasks.push("agent", late)).rejects.toMatchObject({ code: "EPOCH_FENCED" });
      await until(async () => (await tasks.get("now", who)).phase === "failed");
      await tasks.claim(who);
      await bench.sql(
        "update agent_state.workers set lease_until = clock_timestamp() where namespace = $1",
        [who.namespace],
      );
      await tasks.heartbeat("w", who);
      await until(async () => {
        expect(await countsOf(manager)).toEqual({
          pushed_total: 2,
          claims_total: 2,
          'preemptions_total{how="now"}': 1,
          takeovers_total: 1,
          fenced_writes_total: 1,
          dead_total: 1,
          'ended_total{kind="unknown",phase="failed"}': 1,
          first_run_seconds_count: 1,
        });
        return true;
      });
      const told = { preemptions: 1, takeovers: 1, fencedWrites: 1, failedForGood: 1 };
      expect(tasksInfo(manager)).toMatchObject(told);
    } finally {
      await manager.close();
    }
  });

  test("are counted, and the lowest of a stack that waits too long is told", async () => {
    const warned: string[] = [];
    const log: Logger = {
      ...silentLog,
      warn: (fields) => void warned.push(JSON.stringify(fields)),
    };
    const manager = bench.openManager({ tasks: { ageingMs: 1, sweepMs: 100 }, log });
    try {
      const who = { namespace: `n${++count}`, worker: "w", incarnation: "1" };
      for (const [id, kind] of [
        ["low", "mail"],
        ["high", "mail"],
        ["top", "call"],
      ] as const) {
        await manager.tasks.push("agent", { ...who, id, kind });
      }
      const [top] = await manager.tasks.claim(who);
      await manager.tasks.push("agent", { ...who, id: "newer" });
      const report = { ...who, epoch: top!.epoch };
      expect(await manager.tasks.checkpoint("top", report)).toMatchObject({ wanted: "suspended" });
      await expect(manager.tasks.complete("top", report)).rejects.toThrow("no longer held");
      const [newer] = await manager.tasks.claim(who);
      await manager.tasks.complete("newer", { ...who, epoch: newer!.epoch });
      await until(() => warned.some((line) => line.includes(`"${who.namespace}"`)));
      const told = warned.filter((line) => line.includes(`"${who.namespace}"`));
      expect(told.map((line) => (JSON.parse(line) as { task: string }).task)).toContain("low");
      await until(() => manager.taskFigures.deepest >= 3);
      expect(manager.taskFigures.aged).toBeGreaterThanOrEqual(1);
      expect(await countsOf(manager)).toEqual({
        pushed_total: 4,
        claims_total: 2,
        'preemptions_total{how="step"}': 1,
        fenced_writes_total: 1,
        'ended_total{kind="default",phase="completed"}': 1,
        first_run_seconds_count: 2,
      });
      const { deepest, waiting } = manager.taskFigures;
      const { body } = await manager.metrics.render();
      expect(body).toContain(`agent_runtime_tasks_deepest_stack ${deepest}\n`);
      expect(body).toContain(`agent_runtime_tasks_waiting ${waiting}\n`);
      expect(body).toMatch(/^agent_runtime_tasks_oldest_seconds \d+\.\d+$/m);
      expect(body).toMatch(/^agent_runtime_tasks_aged [1-9]/m);
    } finally {
      await manager.close();
    }
  });
});

/** What a process counted of its tasks, without what is 0 and what depends on time. */
async function countsOf(manager: StateManager): Promise<Record<string, number>> {
  const { body } = await manager.metrics.render();
  const lines = body.matchAll(/^agent_runtime_tasks_(\S+_(?:total(?:\{.*\})?|count)) (\S+)$/gm);
  return Object.fromEntries(
    [...lines].flatMap(([, name, value]) => (value === "0" ? [] : [[name!, Number(value)]])),
  );
}
