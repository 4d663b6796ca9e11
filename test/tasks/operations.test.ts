import { afterAll, beforeAll, expect, test } from "vitest";
import type { TaskStore } from "../../src/state/task-port.ts";
import { auditDatabase } from "../model/audit.ts";
import { describeOnHomes } from "../support/homes.ts";
import { openBench } from "../support/manager.ts";
import type { Bench } from "../support/manager.ts";
import { LONG_MS, pushOf, Tasks } from "../support/tasks.ts";
import { until } from "../support/until.ts";

describeOnHomes("tasks", (home) => {
  let bench: Bench;
  let store: TaskStore;
  let count = 0;
  let namespace = "";

  beforeAll(async () => {
    bench = await openBench(home);
    ({ tasks: store } = bench.openStore());
  });

  afterAll(() => bench.close());

  function open(): Tasks {
    namespace = `n${++count}`;
    return new Tasks(store, namespace);
  }

  /** What the lease of a worker was ends now. */
  async function expire(worker: string): Promise<void> {
    await bench.sql(
      `update agent_state.workers set lease_until = clock_timestamp() where namespace = $1 and worker = $2`,
      [namespace, worker],
    );
  }

  async function sweep(): Promise<void> {
    await until(async () => (await store.sweep(1_000)) !== null);
  }

  async function phasesOf(id: string): Promise<string[]> {
    const rows = await bench.sql<{ phase: string }>(
      `select c.phase from agent_state.changes c join agent_state.states s using (state_no)
        where s.namespace = $1 and s.id = $2 order by c.version`,
      [namespace, id],
    );
    return rows.map(({ phase }) => phase);
  }

  test("run newest first, and each is a state with a history", async () => {
    const tasks = open();
    const pushed = await tasks.push(pushOf("a"), pushOf("b"), pushOf("c"));
    expect(pushed.map(({ code, id, phase, depth }) => [code, id, phase, depth])).toEqual([
      [null, "a", "ready", 0],
      [null, "b", "ready", 0],
      [null, "c", "ready", 0],
    ]);
    expect(await tasks.stack()).toEqual(["c ready", "b ready", "a ready"]);
    const first = await tasks.claimOne("w");
    expect(first).toMatchObject({
      id: "c",
      epoch: 1n,
      attempt: 1,
      input: { of: "c" },
      results: [],
    });
    expect(await tasks.claim("v"), "a second task of a stack that is worked on").toEqual([]);
    const { answer, claimed } = await tasks.next(first, "complete", {
      worker: "w",
      body: { n: 1 },
    });
    expect(answer).toEqual({ code: null, phase: "completed", wanted: null });
    expect(claimed.map(({ id }) => id)).toEqual(["b"]);
    expect(await tasks.stack()).toEqual(["b working", "a ready"]);
    expect(await phasesOf("c")).toEqual(["ready", "working", "completed"]);
    expect(await tasks.read("c")).toMatchObject({
      phase: "completed",
      result: { n: 1 },
      lease: null,
    });
    await auditDatabase(bench, namespace);
  });

  test("of a priority go before all lower ones", async () => {
    const tasks = open();
    await tasks.push(pushOf("low"), pushOf("high", { priority: 5 }), pushOf("new"));
    expect(await tasks.stack()).toEqual(["high ready", "new ready", "low ready"]);
    expect((await tasks.claimOne("w")).id).toBe("high");
  });

  test("are interrupted at their next step by what is newer, and go on with where they stopped", async () => {
    const tasks = open();
    await tasks.push(pushOf("old"));
    const old = await tasks.claimOne("w");
    expect(await tasks.report(old, "checkpoint", { resume: { step: 1 } })).toEqual({
      code: null,
      phase: "working",
      wanted: null,
    });
    await tasks.push(pushOf("new"));
    expect((await store.heartbeat(namespace, tasks.order("w"))).preempt).toEqual(["old"]);
    expect(await tasks.report(old, "checkpoint", { resume: { step: 2, of: null } })).toEqual({
      code: null,
      phase: "suspended",
      wanted: "suspended",
    });
    const next = await tasks.claimOne("w");
    expect(next.id).toBe("new");
    expect(await tasks.stack()).toEqual(["new working", "old suspended"]);
    const { claimed } = await tasks.next(next, "complete", { worker: "w" });
    expect(claimed).toMatchObject([
      { id: "old", epoch: 2n, attempt: 1, resumePoint: { step: 2, of: null } },
    ]);
    await auditDatabase(bench, namespace);
  });

  test("that may not wait fence the one that works; those that never interrupt let it end", async () => {
    const tasks = open();
    await tasks.push(pushOf("old"));
    const old = await tasks.claimOne("w");
    await tasks.push(pushOf("patient", { preempt: "never" }));
    expect((await tasks.report(old, "checkpoint")).phase).toBe("working");
    await tasks.push(pushOf("urgent", { preempt: "now" }));
    expect(await tasks.stack()).toEqual(["urgent ready", "patient ready", "old suspended"]);
    expect((await tasks.report(old, "complete")).code).toBe("EPOCH_FENCED");
    expect((await store.heartbeat(namespace, tasks.order("w"))).fenced).toEqual(["old"]);
    const order: string[] = [];
    for (let task = await tasks.claimOne("v"); ;) {
      order.push(task.id);
      const { claimed } = await tasks.next(task, "complete", { worker: "v" });
      if (claimed[0] === undefined) break;
      task = claimed[0];
    }
    expect(order).toEqual(["urgent", "patient", "old"]);
    await auditDatabase(bench, namespace);
  });

  test("of a worker whose lease ran out are taken over, and it can change nothing any more", async () => {
    const tasks = open();
    await tasks.push(pushOf("a"));
    const lost = await tasks.claimOne("w");
    await expire("w");
    expect((await tasks.report(lost, "checkpoint")).code, "past its lease").toBe("EPOCH_FENCED");
    await sweep();
    expect(await tasks.stack()).toEqual(["a ready"]);
    const taken = await tasks.claimOne("v");
    expect(taken).toMatchObject({ id: "a", epoch: 3n, attempt: 2 });
    expect((await tasks.report(lost, "complete")).code).toBe("EPOCH_FENCED");
    expect((await tasks.report(taken, "complete")).code).toBeNull();
    expect((await tasks.report(taken, "complete")).code, "the same again").toBe("REPLAYED");
  });

  test("that crash their worker again and again without a checkpoint are confused; an operator may run them again", async () => {
    const tasks = open();
    await tasks.push(pushOf("a"), pushOf("below", { priority: -1 }));
    for (let crash = 0; crash < 4; crash++) {
      expect((await tasks.claimOne("w")).id).toBe("a");
      await expire("w");
      await sweep();
    }
    expect(await tasks.stack()).toEqual(["a confused", "below ready"]);
    expect(await store.retry(namespace, "a", { reason: null, actor: null })).toMatchObject({
      code: null,
      phase: "ready",
    });
    expect((await tasks.claimOne("w")).id).toBe("a");
    await auditDatabase(bench, namespace);
  });

  test("that fail are tried again after a while, and then are dead", async () => {
    const tasks = open();
    const retry = { maxAttempts: 2, backoffMs: LONG_MS, maxBackoffMs: LONG_MS };
    await tasks.push(pushOf("below"), pushOf("a", { retry }));
    const failure = { error: { message: "no" } };
    expect((await tasks.report(await tasks.claimOne("w"), "fail", { body: failure })).phase).toBe(
      "ready",
    );
    expect(await tasks.stack()).toEqual(["a ready", "below ready"]);
    expect((await tasks.claimOne("w")).id, "while it backs off").toBe("below");
    expect((await store.retry(namespace, "a", { reason: null, actor: null })).phase).toBe("ready");
    expect((await store.heartbeat(namespace, tasks.order("w"))).preempt).toEqual(["below"]);
    await tasks.report(await tasks.read("below"), "suspend");
    const again = await tasks.claimOne("w");
    expect(again).toMatchObject({ id: "a", attempt: 2 });
    expect((await tasks.report(again, "fail", { body: failure })).phase).toBe("failed");
    expect((await tasks.read("a")).error).toEqual({ message: "no" });
    await auditDatabase(bench, namespace);
  });

  test("push others, wait for them, and are given each end once", async () => {
    const tasks = open();
    await tasks.push(pushOf("parent"));
    const parent = await tasks.claimOne("w");
    await tasks.push(
      pushOf("one", { parent: "parent", parentEpoch: 1n }),
      pushOf("two", { parent: "parent", stack: "other" }),
    );
    const wait = { for: "child" };
    expect((await tasks.report(parent, "wait", { body: wait, resume: 1 })).phase).toBe("waiting");
    expect(await tasks.stack()).toEqual(["one ready", "parent waiting"]);
    const children = await tasks.claim("w", { limit: 5 });
    expect(children.map(({ id }) => id).toSorted()).toEqual(["one", "two"]);
    const one = children.find(({ id }) => id === "one")!;
    const two = children.find(({ id }) => id === "two")!;
    await tasks.report(one, "complete", { body: { a: null } });
    expect((await tasks.read("parent")).phase).toBe("waiting");
    await tasks.report(two, "fail", { body: { error: "broken", retry: false } });
    const resumed = await tasks.claimOne("w");
    expect(resumed).toMatchObject({ id: "parent", resumePoint: 1, attempt: 1 });
    expect(resumed.results).toEqual([
      { from: "task", id: "one", phase: "completed", result: { a: null } },
      { from: "task", id: "two", phase: "failed", error: "broken" },
    ]);
    expect(resumed.wait).toBeUndefined();
    expect((await tasks.read("parent")).children).toEqual([
      { id: "one", phase: "completed" },
      { id: "two", phase: "failed" },
    ]);
    await auditDatabase(bench, namespace);
  });

  test("wait for a time, an event, a person; or too long", async () => {
    const tasks = open();
    await tasks.push(pushOf("a"), pushOf("b"), pushOf("c"), pushOf("d"));
    const d = await tasks.claimOne("w");
    expect((await tasks.report(d, "wait", { body: { for: "timer", ms: 1 } })).phase).toBe(
      "waiting",
    );
    const c = await tasks.claimOne("w");
    expect((await tasks.report(c, "wait", { body: { for: "event", name: "go" } })).phase).toBe(
      "waiting",
    );
    const b = await tasks.claimOne("w");
    const ask = { for: "input", prompt: "which?" };
    expect((await tasks.report(b, "wait", { body: ask })).phase).toBe("input_required");
    const a = await tasks.claimOne("w");
    await tasks.report(a, "wait", { body: { for: "event", name: "never", timeoutMs: 1 } });
    await until(async () => {
      await sweep();
      return (
        (await tasks.read("a")).phase === "failed" && (await tasks.read("d")).phase === "ready"
      );
    });
    const data = JSON.stringify("x");
    const nobody = { actor: null };
    expect((await store.answer(namespace, "c", { event: "other", data, ...nobody })).phase).toBe(
      "waiting",
    );
    expect((await store.answer(namespace, "c", { event: "go", data, ...nobody })).phase).toBe(
      "ready",
    );
    expect((await store.answer(namespace, "b", { event: null, data, ...nobody })).phase).toBe(
      "ready",
    );
    expect((await store.answer(namespace, "b", { event: null, data, ...nobody })).code).toBe(
      "ILLEGAL_TRANSITION",
    );
    expect((await tasks.read("c")).results).toEqual([
      { from: "event", name: "other", data: "x" },
      { from: "event", name: "go", data: "x" },
    ]);
    expect(await tasks.stack()).toEqual(["d ready", "c ready", "b ready"]);
    const next = await tasks.claimOne("w");
    const { claimed } = await tasks.next(next, "complete", { worker: "w" });
    expect(
      (await tasks.report(claimed[0]!, "wait", { body: { for: "event", name: "other" } })).phase,
      "it came before",
    ).toBe("ready");
    await auditDatabase(bench, namespace);
  });

  test("that are delayed arrive when they are due", async () => {
    const tasks = open();
    await tasks.push(
      pushOf("late", { delayMs: 1 }),
      pushOf("never", { runAt: new Date("2999-01-01") }),
      pushOf("a"),
    );
    await until(async () => {
      await sweep();
      return (await tasks.read("late")).phase === "ready";
    });
    expect(await tasks.stack()).toEqual(["late ready", "a ready", "never submitted"]);
  });

  test("are canceled with all that they pushed; whoever works on one is told", async () => {
    const tasks = open();
    await tasks.push(pushOf("root"));
    const root = await tasks.claimOne("w");
    await tasks.push(pushOf("child", { parent: "root" }));
    const canceled = await store.cancel(namespace, "root", { reason: "enough", actor: null });
    expect(canceled).toEqual([
      { code: null, id: "root", phase: "canceling" },
      { code: null, id: "child", phase: "canceled" },
    ]);
    expect((await store.heartbeat(namespace, tasks.order("w"))).cancel).toEqual(["root"]);
    expect((await tasks.report(root, "checkpoint")).wanted).toBe("cancel");
    expect((await tasks.report(root, "release")).phase).toBe("canceled");
    expect(await tasks.stack()).toEqual([]);
    expect(await phasesOf("root")).toEqual([
      "ready",
      "working",
      "canceling",
      "canceling",
      "canceling",
      "canceled",
    ]);
    await auditDatabase(bench, namespace);
  });

  test("record what they do outside: once, with its receipt, or in doubt", async () => {
    const tasks = open();
    await tasks.push(pushOf("a"));
    const first = await tasks.claimOne("w");
    const effect = { id: "a", key: "mail", receipt: null, again: false };
    const record = (more: object): Promise<unknown> =>
      store.recordEffect(namespace, { ...effect, epoch: first.epoch, ...more });
    expect(await record({})).toMatchObject({ code: null, standing: "begun" });
    expect(await record({ key: "post" })).toMatchObject({ standing: "begun" });
    expect(await record({ receipt: '{"no":7}' })).toMatchObject({ standing: "done" });
    await expire("w");
    await sweep();
    const { epoch } = await tasks.claimOne("v");
    expect(await record({ key: "late" })).toMatchObject({ code: "EPOCH_FENCED" });
    expect(await record({ epoch })).toEqual({ code: null, standing: "done", receipt: '{"no":7}' });
    expect(await record({ epoch, key: "post" })).toMatchObject({ standing: "in_doubt" });
    expect(await record({ epoch, key: "post", again: true })).toMatchObject({ standing: "begun" });
    expect((await tasks.read("a")).effects).toMatchObject([
      { key: "mail", standing: "done", receipt: { no: 7 } },
      { key: "post", standing: "begun" },
    ]);
  });

  test("are refused with their reason, and leave nothing behind", async () => {
    const tasks = open();
    await tasks.push(pushOf("a"));
    const answers = await tasks.push(
      pushOf("a"),
      pushOf("b", { parent: "nobody" }),
      pushOf("c", { parent: "a", parentEpoch: 9n }),
      pushOf("d", { stack: "t" }),
    );
    expect(answers.map(({ code }) => code)).toEqual([
      "ALREADY_EXISTS",
      "TASK_NOT_FOUND",
      "EPOCH_FENCED",
      null,
    ]);
    expect(await tasks.stack()).toEqual(["a ready"]);
    await auditDatabase(bench, namespace);
  });

  test("pushed again with the same key are answered as before", async () => {
    const tasks = open();
    const keyed = pushOf("a", { idempotencyKey: "k", delayMs: 5 });
    const [first] = await tasks.push(keyed);
    const [again] = await tasks.push(keyed);
    expect(again).toEqual({ ...first, code: "REPLAYED" });
    const [other] = await tasks.push(pushOf("a", { idempotencyKey: "k", input: "1" }));
    expect(other!.code).toBe("IDEMPOTENCY_KEY_REUSED");
  });
});
