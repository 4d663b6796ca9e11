import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import type { LifoTaskProcessor, TaskHandler } from "../../src/processor/lifo-task-processor.ts";
import type { ProcessorOptions } from "../../src/processor/options.ts";
import { RunInterrupted } from "../../src/processor/interruption.ts";
import type { Run } from "../../src/processor/run.ts";
import type { Json } from "../../src/state/json.ts";
import type { PushRequest, TaskFace } from "../../src/state/task-face.ts";
import type { Task } from "../../src/state/task.ts";
import { until } from "../support/until.ts";
import { uniqueId } from "./state-face/case.ts";

/** A face on which processors can be started. */
export interface ProcessorFace {
  readonly tasks: TaskFace;
  startLifoTaskProcessor(handler: TaskHandler, options?: ProcessorOptions): LifoTaskProcessor;
}

export interface OpenedProcessorFace {
  readonly face: ProcessorFace;
  close(): Promise<void>;
}

const PATIENT = { timeoutMs: 60_000 };

/** Everything that a processor promises, as tests over one face. */
export function processorContract(name: string, open: () => Promise<OpenedProcessorFace>): void {
  describe(`a processor over ${name}`, () => {
    let opened: OpenedProcessorFace;
    let face: ProcessorFace;
    beforeAll(async () => {
      opened = await open();
      ({ face } = opened);
    });
    afterAll(async () => await opened.close());
    const started: LifoTaskProcessor[] = [];
    afterEach(async () => {
      await Promise.all(started.splice(0).map((processor) => processor.stop({ drainMs: 0 })));
    });

    function start(handler: TaskHandler, options?: ProcessorOptions): LifoTaskProcessor {
      const processor = face.startLifoTaskProcessor(handler, options);
      started.push(processor);
      return processor;
    }

    async function ended(id: string): Promise<Task> {
      return await until<Task | undefined>(
        async () => {
          const task = await face.tasks.get(id);
          return ["completed", "failed", "canceled", "rejected"].includes(task.phase)
            ? task
            : undefined;
        },
        { ...PATIENT, what: `the end of ${id}` },
      );
    }

    async function phase(id: string, wanted: string): Promise<void> {
      await until(async () => (await face.tasks.get(id)).phase === wanted, {
        ...PATIENT,
        what: `${id} ${wanted}`,
      });
    }

    /** What becomes of one task that a handler works on. */
    async function outcome(handler: TaskHandler, request: PushRequest = {}): Promise<Task> {
      const stack = uniqueId("stack");
      start(handler, { stacks: [stack] });
      return await ended((await face.tasks.push(stack, request)).id);
    }

    test("does what is pushed, newest first, and then the one below", async () => {
      const stack = uniqueId("stack");
      const pushed = [];
      for (const input of [1, 2, 3, 4, 5]) pushed.push(await face.tasks.push(stack, { input }));
      const order: Json[] = [];
      start((task) => void order.push(task.input), { stacks: [stack] });
      await Promise.all(pushed.map(({ id }) => ended(id)));
      expect(order).toEqual([5, 4, 3, 2, 1]);
    });

    test("keeps what a handler returns, of any sort, and says what went wrong", async () => {
      const once = { retry: { maxAttempts: 1 } };
      const { phase: done, result } = await outcome(() => ({ booked: [1, null] }));
      expect({ done, result }).toEqual({ done: "completed", result: { booked: [1, null] } });
      expect((await outcome(() => undefined)).result).toBeNull();
      const cyclic: { self?: unknown } = {};
      cyclic.self = cyclic;
      for (const bad of [1n, () => 1, cyclic, "\u0000", { at: Number.NaN }]) {
        const failed = await outcome(() => bad, { retry: { maxAttempts: 3 } });
        expect(failed).toMatchObject({ phase: "failed", attempt: 1 });
        expect((failed.error as { code: string }).code).toBe("INVALID_DATA");
      }
      const thrown = await outcome(() => {
        throw Object.assign(new TypeError("no\u0000seat"), { code: "FULL" });
      }, once);
      const error = { name: "TypeError", message: "no\uFFFDseat", code: "FULL" };
      expect(thrown).toMatchObject({ phase: "failed", error });
      const odd = await outcome(() => {
        const nothing: unknown = undefined;
        throw nothing;
      }, once);
      expect(odd.error).toEqual({ message: "the handler threw undefined" });
      const refused = await outcome((_task, run) => run.reject({ why: "not ours" }));
      expect(refused).toMatchObject({ phase: "rejected", error: { why: "not ours" } });
      const final = await outcome((_task, run) => run.fail("for good", { retry: false }));
      expect(final).toMatchObject({ phase: "failed", attempt: 1, error: "for good" });
    });

    test("tries again what failed, as often as its policy says", async () => {
      const attempts: number[] = [];
      const task = await outcome(
        ({ attempt }) => {
          attempts.push(attempt);
          if (attempt < 3) throw new Error("not yet");
          return "done";
        },
        { retry: { maxAttempts: 3, backoffMs: 1, maxBackoffMs: 1 } },
      );
      expect({ attempts, phase: task.phase }).toEqual({ attempts: [1, 2, 3], phase: "completed" });
    });

    test("gives way to what is newer at a checkpoint, and goes on where it stopped", async () => {
      const stack = uniqueId("stack");
      const told: string[] = [];
      const handler = async (task: Task, run: Run): Promise<string> => {
        const name = task.input as string;
        for (let step = Number(task.resumePoint ?? 0) + 1; step <= 3; step++) {
          told.push(`${name}${step}`);
          if (step === 2 && name !== "C") {
            await face.tasks.push(stack, { input: name === "A" ? "B" : "C" });
          }
          await run.checkpoint(step);
        }
        return name;
      };
      const { id } = await face.tasks.push(stack, { input: "A" });
      start(handler, { stacks: [stack] });
      await ended(id);
      const order = ["A1", "A2", "B1", "B2", "C1", "C2", "C3", "B3", "A3"];
      expect(told).toEqual(order);
    });

    test("fences a handler at once where what came may not wait", async () => {
      const stack = uniqueId("stack");
      const reasons: unknown[] = [];
      const handler = async (task: Task, run: Run): Promise<unknown> => {
        if (task.input === "now" || task.epoch > 1n) return task.input;
        const now = await face.tasks.push(stack, { input: "now", preempt: "now" });
        // Its next word is refused; so is every one after it.
        await run.checkpoint(1).catch((error: unknown) => reasons.push(error));
        await run.effect("late", () => 1).catch((error: unknown) => reasons.push(error));
        reasons.push(run.signal.reason);
        await ended(now.id);
        return "the zombie's";
      };
      const { id } = await face.tasks.push(stack, { input: "old" });
      start(handler, { stacks: [stack] });
      expect((await ended(id)).result).toBe("old");
      await until(() => reasons.length === 3, PATIENT);
      for (const reason of reasons) {
        expect(reason).toBeInstanceOf(RunInterrupted);
        expect(reason).toMatchObject({ reason: "fenced", cause: { code: "EPOCH_FENCED" } });
      }
      expect((await face.tasks.get(id)).effects).toEqual([]);
    });

    test("waits for children, and has their results or what was wrong with them", async () => {
      const handler = async (task: Task, run: Run): Promise<Json> => {
        const of = task.input as { n?: number } | null;
        if (of?.n === 3) run.fail("odd", { retry: false });
        if (of?.n !== undefined) return of.n * 10;
        await run.push("a", { input: { n: 1 } });
        await run.push("b", { input: { n: 2 } });
        const sum = Number(await run.child("a")) + Number(await run.child("b"));
        const bad = await run.child("c", { input: { n: 3 } }).catch((error: unknown) => {
          if (error instanceof RunInterrupted) throw error;
          return (error as { error: Json }).error;
        });
        return { sum, bad };
      };
      const task = await outcome(handler);
      expect(task).toMatchObject({ phase: "completed", result: { sum: 30, bad: "odd" } });
      const { children } = await face.tasks.get(task.id);
      expect(children.map(({ id }) => id)).toEqual(
        ["a", "b", "c"].map((key) => `${task.id}.${key}`),
      );
    });

    test("sleeps, and waits for people and events, without a worker", async () => {
      const stack = uniqueId("stack");
      const runs: number[] = [];
      const handler = async (_task: Task, run: Run): Promise<Json> => {
        runs.push(runs.length);
        await run.sleep("a while", 30);
        const seat = await run.waitForInput("seat", { prompt: "which seat?" });
        const meal = await run.waitForInput("meal", { prompt: "which meal?" });
        const login = await run.waitForAuth("airline");
        return [seat, meal, login, await run.waitForEvent("paid")];
      };
      start(handler, { stacks: [stack], concurrency: 1 });
      const { id } = await face.tasks.push(stack, {});
      await phase(id, "input_required");
      expect(await face.tasks.get(id)).toMatchObject({
        wait: { prompt: "which seat?" },
        lease: null,
      });
      await face.tasks.answer(id, { data: "12A" });
      await until(async () => {
        const { wait } = await face.tasks.get(id);
        return (wait as { prompt?: string } | undefined)?.prompt === "which meal?";
      }, PATIENT);
      await face.tasks.answer(id, { event: "paid", data: 99 });
      await face.tasks.answer(id, { data: "fish" });
      await phase(id, "auth_required");
      await face.tasks.answer(id, { data: "yes" });
      expect(await ended(id)).toMatchObject({ result: ["12A", "fish", "yes", 99], attempt: 1 });
      expect(runs.length).toBe(5);
    });

    test("does an effect once, and says where one is in doubt", async () => {
      const done: string[] = [];
      let runs = 0;
      const task = await outcome(
        async (_task, run) => {
          runs++;
          const act = (): { no: number } => ({ no: done.push("mail") });
          const first = await run.effect("mail", act);
          const again = await run.effect("mail", act);
          if (runs < 3) throw new Error("after it");
          return [first, again];
        },
        { retry: { maxAttempts: 3, backoffMs: 0 } },
      );
      expect({ result: task.result, done, runs }).toEqual({
        result: [{ no: 1 }, { no: 1 }],
        done: ["mail"],
        runs: 3,
      });

      const lost = (): never => {
        throw new Error("no answer");
      };
      const policy = { retry: { maxAttempts: 3, backoffMs: 0 } };
      const doubtful = await outcome((_task, run) => run.effect("pay", lost), policy);
      expect(doubtful).toMatchObject({
        phase: "failed",
        attempt: 2,
        error: { code: "EFFECT_IN_DOUBT" },
      });
      expect((await face.tasks.get(doubtful.id)).effects).toMatchObject([
        { key: "pay", standing: "in_doubt" },
      ]);
      const looked = await outcome(
        (_task, run) => run.effect("pay", lost, { inDoubt: async () => "receipt 7" }),
        policy,
      );
      expect(looked).toMatchObject({ phase: "completed", result: "receipt 7", attempt: 2 });
      const keys: string[] = [];
      const repeated = await outcome(
        ({ attempt }, run) =>
          run.effect(
            "pay",
            ({ idempotencyKey }) => {
              keys.push(idempotencyKey);
              return attempt < 3 ? lost() : "at last";
            },
            { inDoubt: attempt === 2 ? async () => undefined : "again" },
          ),
        policy,
      );
      expect(repeated).toMatchObject({ phase: "completed", result: "at last", attempt: 3 });
      expect(keys).toEqual(Array.from({ length: 3 }, () => `${repeated.id}/pay`));
    });

    test("does an effect once in one run as well", async () => {
      const done: number[] = [];
      const act = async (): Promise<number> => {
        const no = done.push(done.length);
        await new Promise((resolve) => setTimeout(resolve, 20));
        return no;
      };
      const beside = await outcome((_task, run) =>
        Promise.all([run.effect("pay", act), run.effect("pay", act), run.effect("other", act)]),
      );
      expect({ phase: beside.phase, done }).toEqual({ phase: "completed", done: [0, 1] });
      const [first, second, other] = beside.result as number[];
      expect(first).toBe(second);
      expect(other).not.toBe(first);

      // Its answer may have been lost on the way back: a handler that tries again does not know either.
      let acts = 0;
      const lost = (): Promise<number> => Promise.reject(new Error(`no answer to ${++acts}`));
      const stubborn = await outcome(
        (_task, run) => run.effect("pay", lost).catch(() => run.effect("pay", lost)),
        { retry: { maxAttempts: 3, backoffMs: 0 } },
      );
      expect(stubborn).toMatchObject({ attempt: 1, error: { code: "EFFECT_IN_DOUBT" } });
      expect(acts).toBe(1);
      const sure = await outcome((_task, run) =>
        run.effect("pay", lost).catch(() => run.effect("pay", act, { inDoubt: "again" })),
      );
      expect(sure).toMatchObject({ phase: "completed", attempt: 1 });
    });

    test("ends what is canceled; what its handler returns is not its result", async () => {
      const stack = uniqueId("stack");
      let reason: unknown;
      const handler = async (task: Task, run: Run): Promise<string> => {
        await face.tasks.cancel(task.id, { reason: "enough" });
        reason = await run.checkpoint(1).catch((error: unknown) => error);
        return "late";
      };
      start(handler, { stacks: [stack] });
      const { id } = await face.tasks.push(stack, {});
      expect((await ended(id)).phase).toBe("canceled");
      expect(reason).toMatchObject({ name: "RunInterrupted", reason: "canceled" });
    });

    test("works on so many at a time, of the kinds and stacks that it was told", async () => {
      const stacks = Array.from({ length: 6 }, () => uniqueId("stack"));
      const other = await face.tasks.push(stacks[0]!, { kind: "other", priority: -1 });
      let most = 0;
      let now = 0;
      let release!: () => void;
      const gate = new Promise<void>((resolve) => (release = resolve));
      const handler = async (): Promise<void> => {
        most = Math.max(most, ++now);
        if (now === 3) release();
        await gate;
        now--;
      };
      const pushed = await Promise.all(
        stacks.map((stack) => face.tasks.push(stack, { kind: "this" })),
      );
      start(handler, { stacks, kinds: ["this"], concurrency: 3 });
      await Promise.all(pushed.map(({ id }) => ended(id)));
      expect(most).toBe(3);
      expect((await face.tasks.get(other.id)).phase).toBe("ready");
    });

    test("stops: a checkpoint gives the task back, and so does the end of its time", async () => {
      const [patient, deaf] = [uniqueId("stack"), uniqueId("stack")];
      const running = new Set<string>();
      let reason: unknown;
      const handler = async (task: Task, run: Run): Promise<void> => {
        running.add(task.stack);
        if (task.stack === deaf)
          await new Promise((resolve) => run.signal.addEventListener("abort", resolve));
        await new Promise((resolve) => run.preempted.addEventListener("abort", resolve));
        reason = await run.checkpoint({ step: 7 }).catch((error: unknown) => error);
        throw reason;
      };
      const processor = start(handler, { stacks: [patient, deaf] });
      const [a, b] = await Promise.all([face.tasks.push(patient, {}), face.tasks.push(deaf, {})]);
      await until(() => running.size === 2, PATIENT);
      await processor.stop({ drainMs: 1_000 });
      expect(await face.tasks.get(a.id)).toMatchObject({
        phase: "ready",
        lease: null,
        resumePoint: { step: 7 },
      });
      expect(await face.tasks.get(b.id)).toMatchObject({ phase: "ready", lease: null });
      expect(processor.running).toBe(0);
      const again = start(({ resumePoint }) => resumePoint ?? "from the start", {
        stacks: [patient, deaf],
      });
      expect(await ended(a.id)).toMatchObject({ result: { step: 7 }, attempt: 1 });
      expect((await ended(b.id)).result).toBe("from the start");
      await again.stop();
      await again.stop();
    });

    test("refuses options that make no sense", () => {
      const handler = (): void => undefined;
      const refused = (options: object): unknown => {
        try {
          return face.startLifoTaskProcessor(handler, options);
        } catch (error) {
          return (error as { code: string }).code;
        }
      };
      expect(refused({ concurrency: 0 })).toBe("INVALID_REQUEST");
      expect(refused({ concurency: 1 })).toBe("UNKNOWN_FIELD");
      expect(refused({ stacks: "a" })).toBe("INVALID_REQUEST");
      expect(refused({ waitMs: 1e9 })).toBe("INVALID_REQUEST");
      expect(() => face.startLifoTaskProcessor(undefined as unknown as TaskHandler)).toThrow(
        /handler/,
      );
    });
  });
}
