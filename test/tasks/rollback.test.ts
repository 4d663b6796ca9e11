import { afterAll, beforeAll, expect, test } from "vitest";
import type { StateManager } from "../../src/manager/state-manager.ts";
import type { Rollback } from "../../src/state/rollback.ts";
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

  async function goBack(steps: bigint): Promise<Rollback> {
    const { step } = await manager.scope("s", { namespace, consistency: "strong" });
    const done = await manager.rollback("s", { namespace, toStep: step - steps });
    await until(() => store.sweep(1_000));
    return done;
  }

  test("fences who works, keeps its receipts, and goes on where it was", async () => {
    const tasks = open();
    await tasks.push(pushOf("a"));
    const task = await tasks.claimOne("w");
    const before = { id: "a", epoch: task.epoch, key: "look", receipt: "1", again: false };
    await store.recordEffect(namespace, before);
    await tasks.report(task, "checkpoint", { resume: 1 });
    const effect = { id: "a", epoch: task.epoch, key: "mail", receipt: '"sent"', again: false };
    await store.recordEffect(namespace, effect);
    await store.recordEffect(namespace, { ...effect, key: "begun", receipt: null });
    await tasks.report(task, "checkpoint", { resume: 2 });
    const { fenced, effects } = await goBack(1n);
    expect({ fenced, effects }).toEqual({
      fenced: ["a"],
      effects: [{ task: "a", key: "mail", doneAt: expect.any(Date) }],
    });
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

  test("lets a parent push again what it had pushed: another life, with the receipts, and without who worked on the first", async () => {
    const tasks = open();
    await tasks.push(pushOf("parent"));
    const parent = await tasks.claimOne("w");
    const push = pushOf("child", { parent: "parent" });
    await tasks.push(push);
    await tasks.report(parent, "wait", { body: { for: "child" } });
    const first = await tasks.claimOne("w");
    const mail = { id: "child", epoch: first.epoch, key: "mail", receipt: '"sent"', again: false };
    await store.recordEffect(namespace, mail);
    await tasks.push(pushOf("grandchild", { parent: "child", stack: "other" }));
    await tasks.report(await tasks.claimOne("w"), "complete", { body: 7 });
    await manager.rollback("s", { namespace, toStep: 2n }); // to before the child was pushed
    await until(() => store.sweep(1_000));
    expect(await tasks.stack()).toEqual(["parent ready"]);

    const again = await tasks.claimOne("w");
    expect(await tasks.push(push)).toMatchObject([{ code: null, phase: "ready" }]);
    expect((await tasks.report(first, "complete")).code).toBe("EPOCH_FENCED");
    await tasks.report(again, "wait", { body: { for: "child" } });
    const second = await tasks.claimOne("w");
    expect(second).toMatchObject({ id: "child", attempt: 1 });
    expect(second.epoch).toBeGreaterThan(first.epoch);
    expect(second.results).toMatchObject([{ id: "grandchild", phase: "completed", result: 7 }]);
    const told = await store.recordEffect(namespace, {
      ...mail,
      epoch: second.epoch,
      receipt: null,
    });
    expect(told).toEqual({ code: null, standing: "done", receipt: '"sent"' });
    await tasks.report(second, "complete", { body: 8 });
    const { results } = await tasks.claimOne("w");
    expect(results).toEqual([{ from: "task", id: "child", phase: "completed", result: 8 }]);
    await auditDatabase(bench, namespace);
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

  test("an end that the world was told of is superseded, not undone", async () => {
    const tasks = open();
    await tasks.push(pushOf("a"), pushOf("b"));
    const b = await tasks.claimOne("w");
    await tasks.report(b, "checkpoint", { resume: 1 });
    const mail = { id: "b", epoch: b.epoch, key: "mail", receipt: '"sent"', again: false };
    await store.recordEffect(namespace, mail);
    await store.recordEffect(namespace, { ...mail, key: "bill", receipt: null });
    await tasks.report(b, "complete", { body: 7 });
    await tasks.report(await tasks.claimOne("w"), "checkpoint", { resume: 5 });
    const { step } = await manager.scope("s", { namespace, consistency: "strong" });

    const to = { namespace, toStep: step - 3n }; // where b had its resume point
    const plan = await manager.rollback("s", { ...to, dryRun: true });
    const newId = `b~${step + 1n}`;
    expect(plan).toMatchObject({
      states: [
        { id: "a", action: "restore", phase: "ready" },
        { id: "b", action: "supersede", phase: "completed", supersededBy: newId },
      ],
      fenced: ["a"],
      effects: [{ task: "b", key: "mail" }],
    });
    const done = await manager.rollback("s", { ...to, idempotencyKey: `k-${namespace}` });
    expect({ ...done, dryRun: true }).toEqual(plan);
    const again = await manager.rollback("s", { ...to, idempotencyKey: `k-${namespace}` });
    expect(again).toEqual({ ...done, replayed: true });
    await until(() => store.sweep(1_000));

    expect((await store.read(namespace, ["b"]))[0]).toMatchObject({
      phase: "completed",
      result: 7,
    });
    expect(await tasks.stack()).toEqual([`${newId} ready`, "a ready"]);
    const next = await tasks.claimOne("v");
    expect(next).toMatchObject({ id: newId, resumePoint: 1, seq: b.seq, attempt: 1 });
    const ask = { ...mail, id: newId, epoch: next.epoch, receipt: null };
    const receipt = await store.recordEffect(namespace, ask);
    expect(receipt).toEqual({ code: null, standing: "done", receipt: '"sent"' });
    const bill = await store.recordEffect(namespace, { ...ask, key: "bill" });
    expect(bill.standing).toBe("in_doubt");
    await store.recordEffect(namespace, { ...ask, key: "bill", receipt: '"found"' });
    const { data } = await manager.getState(newId, { namespace, consistency: "strong" });
    expect(data).toMatchObject({ supersedes: "b", input: { of: "b" } });
    await tasks.report(next, "complete");
    await tasks.report(await tasks.claimOne("v"), "complete");
    expect(await tasks.stack()).toEqual([]);
    await auditDatabase(bench, namespace);
  });

  test("one that was canceled before it arrived arrives after all: when it was to, or now", async () => {
    const tasks = open();
    for (const [id, runAt] of [
      ["late", new Date("2999-01-01")],
      ["due", new Date(0)],
    ] as const) {
      await tasks.push(pushOf(id, { runAt, idempotencyKey: `${namespace}.${id}` }));
      await store.cancel(namespace, id, { reason: null, actor: null });
      await goBack(1n);
    }
    expect(await tasks.stack()).toEqual(["due~6 ready", "late~3 submitted"]);
    expect((await tasks.read("late~3")).runAt).toEqual(new Date("2999-01-01"));
    expect((await tasks.claimOne("w")).id).toBe("due~6");
    await auditDatabase(bench, namespace);
  });

  test("a child that is superseded tells its parent its end as well", async () => {
    const tasks = open();
    await tasks.push(pushOf("parent", { stack: "above" }));
    const parent = await tasks.claimOne("w");
    await tasks.push(pushOf("other"), pushOf("child", { parent: "parent" }));
    await tasks.report(parent, "wait", { body: { for: "child" } });
    const here = { stacks: ["s"] };
    await tasks.report(await tasks.claimOne("w", here), "complete", { body: 7 });
    await manager.updateState("note", "note", { n: 1 }, { namespace, scope: "s" });
    await goBack(2n); // to where the child was worked on
    const { id } = await tasks.claimOne("w", here);
    expect(id).toMatch(/^child~/);
    const [child] = await store.read(namespace, [id]);
    await tasks.report(child!, "complete", { body: 8 });
    await tasks.report(await tasks.claimOne("w", here), "complete");
    const woken = await tasks.claimOne("w");
    expect(woken.results.map((result) => ("result" in result ? result.result : null))).toEqual([
      7, 8,
    ]);
    await auditDatabase(bench, namespace);
  });

  test("where nothing but ends would be undone, it is refused", async () => {
    const tasks = open();
    await tasks.push(pushOf("a"));
    await tasks.report(await tasks.claimOne("w"), "complete");
    await expect(goBack(3n)).rejects.toMatchObject({ code: "TERMINAL_PUBLISHED" });
    await manager.updateState("note", "note", { n: 1 }, { namespace, scope: "s" });
    const { states } = await manager.rollback("s", { namespace, toStep: 0n });
    expect(states.map(({ id, action }) => `${id} ${action}`)).toEqual(["a keep", "note delete"]);
    expect((await store.read(namespace, ["a"]))[0]).toMatchObject({ phase: "completed" });
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
