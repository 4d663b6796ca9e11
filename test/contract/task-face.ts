import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { TaskFace } from "../../src/state/task-face.ts";
import type { Task } from "../../src/state/task.ts";
import { until } from "../support/until.ts";
import type { OpenedFace } from "./state-face.ts";
import { refusalOf, uniqueId } from "./state-face/case.ts";

/** Everything that a task face promises, as tests of one implementation. */
export function taskFaceContract(name: string, open: () => Promise<OpenedFace>): void {
  describe(`${name} keeps the promises of a task face`, () => {
    let opened: OpenedFace;
    let face: TaskFace;
    beforeAll(async () => {
      opened = await open();
      face = opened.face.tasks;
    });
    afterAll(async () => await opened.close());

    const me = { worker: "me", incarnation: "1" };

    async function claim(stack: string): Promise<Task> {
      const [task] = await face.claim({ ...me, stacks: [stack] });
      return task!;
    }

    test("a task is pushed, claimed, done; and is a state with that history", async () => {
      const stack = uniqueId("stack");
      const input = { goal: "a", none: null };
      const pushed = await face.push(stack, { id: `${stack}.1`, kind: "plan", input, priority: 2 });
      expect(pushed).toMatchObject({
        namespace: "default",
        id: `${stack}.1`,
        stack,
        kind: "plan",
        phase: "ready",
        priority: 2,
        depth: 0,
        parent: null,
        epoch: 0n,
        attempt: 0,
        input,
        results: [],
        lease: null,
      });
      expect(await face.get(pushed.id)).toEqual({ ...pushed, children: [], effects: [] });
      const [task] = await face.claim({ ...me, stacks: [stack], kinds: ["plan"], limit: 5 });
      expect(task).toMatchObject({ id: pushed.id, epoch: 1n, attempt: 1, phase: "working", input });
      expect(task!.lease!.worker).toBe("me");
      const done = await face.complete(pushed.id, { epoch: 1n, result: { ok: null } });
      expect(done).toEqual({
        id: pushed.id,
        phase: "completed",
        wanted: null,
        replayed: false,
        tasks: [],
      });
      expect((await face.complete(pushed.id, { epoch: 1n, result: 0 })).replayed).toBe(true);
      expect(await face.get(pushed.id)).toMatchObject({ result: { ok: null } });
      const { items } = await opened.face.history(pushed.id);
      expect(items.map(({ phase }) => phase)).toEqual(["completed", "working", "ready"]);
      const state = await opened.face.getState(pushed.id);
      expect(state).toMatchObject({ type: "task", scope: stack, phase: "completed" });
    });

    test("newest first; a report claims the next in the same call", async () => {
      const stack = uniqueId("stack");
      for (const input of [1, 2, 3]) await face.push(stack, { input });
      expect((await face.stack(stack)).map(({ input }) => input)).toEqual([3, 2, 1]);
      const next = { ...me, stacks: [stack] };
      const order: unknown[] = [];
      for (let task: Task | undefined = await claim(stack); task !== undefined;) {
        order.push(task.input);
        [task] = (await face.complete(task.id, { epoch: task.epoch, next })).tasks;
      }
      expect(order).toEqual([3, 2, 1]);
    });

    test("the story: A is interrupted by B, B by C; then back to B, and to A where it stopped", async () => {
      const stack = uniqueId("stack");
      const interrupt = async (task: Task, by: string): Promise<Task> => {
        await face.push(stack, { input: by });
        const { wanted } = await face.checkpoint(task.id, {
          epoch: task.epoch,
          resumePoint: { step: 4 },
        });
        expect(wanted).toBe("suspended");
        return await claim(stack);
      };
      await face.push(stack, { input: "A" });
      const b = await interrupt(await claim(stack), "B");
      const c = await interrupt(b, "C");
      const next = { ...me, stacks: [stack] };
      const [again] = (await face.complete(c.id, { epoch: c.epoch, next })).tasks;
      expect(again).toMatchObject({ input: "B", resumePoint: { step: 4 }, epoch: 2n, attempt: 1 });
      const [last] = (await face.complete(again!.id, { epoch: again!.epoch, next })).tasks;
      expect(last).toMatchObject({ input: "A", resumePoint: { step: 4 } });
    });

    test("a claim waits for what is pushed, and no longer than it is told", async () => {
      const stack = uniqueId("stack");
      expect(await face.claim({ ...me, stacks: [stack], waitMs: 1 })).toEqual([]);
      const waiting = face.claim({ ...me, stacks: [stack], waitMs: 30_000 });
      await face.push(stack, { input: "it" });
      expect(await waiting).toMatchObject([{ input: "it" }]);
    });

    test("a child's end is told to its parent, which waited for it", async () => {
      const stack = uniqueId("stack");
      const parent = await face.push(stack, {}).then(() => claim(stack));
      const child = await face.push(stack, { parent: parent.id, parentEpoch: parent.epoch });
      expect(child).toMatchObject({ parent: parent.id, depth: 1 });
      const wait = { for: "child", children: [child.id] } as const;
      expect((await face.wait(parent.id, { epoch: parent.epoch, wait })).phase).toBe("waiting");
      const working = await claim(stack);
      const error = { message: "no" };
      await face.fail(working.id, { epoch: working.epoch, error, retry: false });
      const results = [{ from: "task", id: child.id, phase: "failed", error }];
      expect(await claim(stack)).toMatchObject({ id: parent.id, results });
      expect((await face.get(parent.id)).children).toEqual([{ id: child.id, phase: "failed" }]);
    });

    test("a task waits for a person, an event, a moment", async () => {
      const stack = uniqueId("stack");
      const { id } = await face.push(stack, {});
      let task = await claim(stack);
      await face.wait(id, { epoch: task.epoch, wait: { for: "input", prompt: "which?" } });
      expect(await face.get(id)).toMatchObject({
        phase: "input_required",
        wait: { prompt: "which?" },
      });
      expect((await face.answer(id, { data: "that" })).phase).toBe("ready");
      task = await claim(stack);
      await face.wait(id, { epoch: task.epoch, wait: { for: "event", name: "paid" } });
      expect((await face.answer(id, { event: "paid", data: 5 })).phase).toBe("ready");
      task = await claim(stack);
      expect(task.results).toEqual([
        { from: "input", data: "that" },
        { from: "event", name: "paid", data: 5 },
      ]);
      await face.wait(id, { epoch: task.epoch, wait: { for: "timer", ms: 1 } });
      await until(async () => (await face.get(id)).phase === "ready");
    });

    test("a failure is tried again after its backoff; a task comes when it is due", async () => {
      const stack = uniqueId("stack");
      const retry = { maxAttempts: 2, backoffMs: 1, maxBackoffMs: 1 };
      const { id } = await face.push(stack, { delayMs: 1, retry });
      for (const phase of ["ready", "failed"]) {
        const [task] = await face.claim({ ...me, stacks: [stack], waitMs: 10_000 });
        expect((await face.fail(id, { epoch: task!.epoch, error: "x" })).phase).toBe(phase);
      }
      expect(await face.get(id)).toMatchObject({ phase: "failed", attempt: 2, error: "x" });
    });

    test("effects are done once; cancel takes the tree; a heartbeat tells", async () => {
      const stack = uniqueId("stack");
      const worker = uniqueId("worker");
      const { id } = await face.push(stack, {});
      const child = await face.push(stack, { parent: id, preempt: "never", priority: -1 });
      const [task] = await face.claim({ worker, incarnation: "1", stacks: [stack] });
      const effect = { epoch: task!.epoch, key: "mail" };
      expect(await face.effect(id, effect)).toEqual({ standing: "begun", receipt: null });
      await face.effect(id, { ...effect, receipt: { no: 1 } });
      expect(await face.effect(id, effect)).toEqual({ standing: "done", receipt: { no: 1 } });
      expect(await face.cancel(id, { reason: "enough" })).toEqual([
        { id, phase: "canceling" },
        { id: child.id, phase: "canceled" },
      ]);
      const beat = await face.heartbeat(worker, { incarnation: "1" });
      expect(beat).toMatchObject({ cancel: [id], preempt: [], fenced: [] });
      expect(beat.leaseUntil.getTime()).toBeGreaterThan(task!.createdAt.getTime());
      expect((await face.release(id, { epoch: task!.epoch })).phase).toBe("canceled");
    });

    test("the same push again, with its key, is the same task", async () => {
      const stack = uniqueId("stack");
      const push = { input: 1, idempotencyKey: uniqueId("key") };
      const first = await face.push(stack, push);
      expect((await face.push(stack, push)).id).toBe(first.id);
      expect(await face.stack(stack)).toHaveLength(1);
      const other = await refusalOf(face.push(stack, { ...push, input: 2 }));
      expect(other.code).toBe("IDEMPOTENCY_KEY_REUSED");
    });

    test("many pushes, claims and reports at once have each their own fate", async () => {
      const stacks = Array.from({ length: 20 }, () => uniqueId("stack"));
      const pushed = await Promise.all(
        stacks.flatMap((stack) => [face.push(stack, { input: 1 }), face.push(stack, { input: 2 })]),
      );
      expect(new Set(pushed.map(({ id }) => id)).size).toBe(40);
      const claimed = await Promise.all(
        stacks.map((stack) => face.claim({ ...me, stacks: [stack] })),
      );
      expect(claimed.flat()).toHaveLength(20);
      const reports = claimed
        .flat()
        .map(({ id, epoch }, n) => face.complete(id, { epoch: n === 0 ? 99n : epoch }));
      const [fenced, ...done] = await Promise.allSettled(reports);
      expect(fenced).toMatchObject({ reason: { code: "EPOCH_FENCED", status: 409 } });
      expect(done.every(({ status }) => status === "fulfilled")).toBe(true);
    });

    test("a time that no database keeps is refused, and nobody beside it", async () => {
      const stack = uniqueId("stack");
      const [first, last] = [new Date(-8.64e15), new Date(8.64e15)];
      const answers = await Promise.allSettled([
        face.push(stack, {}),
        face.push(stack, { runAt: first }),
        face.push(stack, { deadline: last }),
        face.push(stack, {}),
        opened.face.updateState(uniqueId("s"), "note", 1),
        opened.face.updateState(uniqueId("s"), "note", 1, { expiresAt: first }),
      ]);
      const refused = { status: "rejected", reason: { code: "INVALID_REQUEST" } };
      const done = { status: "fulfilled" };
      expect(answers).toMatchObject([done, refused, refused, done, done, refused]);
      const { id, epoch } = await claim(stack);
      for (const until of [first, last])
        await expect(face.wait(id, { epoch, wait: { for: "timer", until } })).rejects.toMatchObject(
          { code: "INVALID_REQUEST" },
        );
      const end = new Date("9999-12-31T23:59:59.999Z");
      expect(await face.wait(id, { epoch, wait: { for: "timer", until: end } })).toMatchObject({
        phase: "waiting",
      });
    });

    test("what is wrong is refused with its reason", async () => {
      const stack = uniqueId("stack");
      const { id } = await face.push(stack, {});
      const codes = await Promise.all(
        [
          face.push(stack, { id }),
          face.push(stack, { parent: "nobody" }),
          face.push("a/b", {}),
          face.push(stack, { priority: 0.5 }),
          face.push(stack, { input: "\u0000" }),
          face.get("nobody"),
          face.complete("nobody", { epoch: 1n }),
          face.complete(id, { epoch: 1n }),
          face.answer(id, { data: 1 }),
          face.claim({ ...me, limit: 0 }),
          face.claim({ worker: "", incarnation: "1" }),
          face.fail(id, { epoch: 1n } as never),
          face.wait(id, { epoch: 1n } as never),
        ].map(async (call) => (await refusalOf(call)).code),
      );
      expect(codes).toEqual([
        "ALREADY_EXISTS",
        "TASK_NOT_FOUND",
        "INVALID_SCOPE",
        "INVALID_REQUEST",
        "INVALID_DATA",
        "TASK_NOT_FOUND",
        "TASK_NOT_FOUND",
        "EPOCH_FENCED",
        "ILLEGAL_TRANSITION",
        "INVALID_REQUEST",
        "INVALID_REQUEST",
        "INVALID_REQUEST",
        "INVALID_REQUEST",
      ]);
      await opened.face.hold(stack);
      const held = await refusalOf(face.push(stack, {}));
      expect(held.code).toBe("SCOPE_ON_HOLD");
      expect(await face.claim({ ...me, stacks: [stack] })).toEqual([]);
    });
  });
}
