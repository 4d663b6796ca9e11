import { afterAll, beforeAll, expect, test } from "vitest";
import type { StateManager } from "../../src/manager/state-manager.ts";
import type { TaskStore } from "../../src/state/task-port.ts";
import { auditDatabase } from "../model/audit.ts";
import { describeOnHomes } from "../support/homes.ts";
import { openBench } from "../support/manager.ts";
import type { Bench } from "../support/manager.ts";
import { pushOf, Tasks } from "../support/tasks.ts";
import { until } from "../support/until.ts";

describeOnHomes("a scope that goes back with tasks in it", (home) => {
  let bench: Bench;
  let manager: StateManager;
  let store: TaskStore;
  let count = 0;
  let namespace = "";

  beforeAll(async () => {
    bench = await openBench(home);
    manager = bench.openManager();
    ({ tasks: store } = bench.openStore());
  });

  afterAll(() => bench.close());

  function open(): Tasks {
    namespace = `n${++count}`;
    return new Tasks(store, namespace);
  }

  async function goBack(steps: bigint): Promise<void> {
    const { step } = await manager.scope("s", { namespace, consistency: "strong" });
    await manager.rollback("s", { namespace, toStep: step - steps });
    await until(() => store.sweep(1_000));
  }

  test("fences who works, keeps its receipts, and goes on where it was", async () => {
    const tasks = open();
    await tasks.push(pushOf("a"));
    const task = await tasks.claimOne("w");
    await tasks.report(task, "checkpoint", { resume: 1 });
    const effect = { id: "a", epoch: task.epoch, key: "mail", receipt: '"sent"', again: false };
    await store.recordEffect(namespace, effect);
    await tasks.report(task, "checkpoint", { resume: 2 });
    await goBack(1n);
    expect((await tasks.report(task, "complete")).code).toBe("EPOCH_FENCED");
    expect((await store.heartbeat(namespace, tasks.order("w"))).fenced).toEqual(["a"]);
    expect(await tasks.stack()).toEqual(["a ready"]);
    const again = await tasks.claimOne("v");
    expect(again).toMatchObject({ resumePoint: 1, attempt: 1, seq: task.seq });
    expect(again.epoch).toBeGreaterThan(task.epoch);
    const told = await store.recordEffect(namespace, {
      ...effect,
      epoch: again.epoch,
      receipt: null,
    });
    expect(told).toEqual({ code: null, standing: "done", receipt: '"sent"' });
    await auditDatabase(bench, namespace);
  });

  test("fences a task that did not change since", async () => {
    const tasks = open();
    await tasks.push(pushOf("a"));
    const task = await tasks.claimOne("w");
    await manager.updateState("note", "note", { n: 1 }, { namespace, scope: "s" });
    await goBack(1n);
    expect((await tasks.report(task, "checkpoint")).code).toBe("EPOCH_FENCED");
    expect(await tasks.stack()).toEqual(["a ready"]);
    await auditDatabase(bench, namespace);
  });

  test("takes back a push, and what was below it goes on", async () => {
    const tasks = open();
    await tasks.push(pushOf("a"));
    const task = await tasks.claimOne("w");
    await tasks.push(pushOf("b"));
    await tasks.report(task, "checkpoint");
    expect(await tasks.stack()).toEqual(["b ready", "a suspended"]);
    await goBack(2n);
    expect(await tasks.stack()).toEqual(["a ready"]);
    expect((await tasks.claimOne("w")).id).toBe("a");
  });

  test("tells a parent again what it has forgotten", async () => {
    const tasks = open();
    await tasks.push(pushOf("parent"));
    const parent = await tasks.claimOne("w");
    await tasks.push(pushOf("child", { parent: "parent", stack: "other" }));
    await tasks.report(parent, "wait", { body: { for: "child", children: ["child"] } });
    await tasks.report(await tasks.claimOne("w"), "complete", { body: 7 });
    const woken = await tasks.claimOne("w");
    expect(woken.results).toEqual([{ from: "task", id: "child", phase: "completed", result: 7 }]);
    await goBack(2n); // to where it waited
    const again = await tasks.claimOne("w");
    expect(again).toMatchObject({ id: "parent", results: woken.results });
    await auditDatabase(bench, namespace);
  });

  test("a task that is canceled by a plain write is nobody's any more", async () => {
    const tasks = open();
    await tasks.push(pushOf("a"), pushOf("b"));
    const task = await tasks.claimOne("w");
    await manager.mergeState("b", {}, { namespace, phase: "failed" });
    expect((await tasks.report(task, "checkpoint")).code).toBe("EPOCH_FENCED");
    await until(() => store.sweep(1_000));
    expect(await tasks.stack()).toEqual(["a ready"]);
    expect((await tasks.claimOne("w")).id).toBe("a");
  });
});
