import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { HttpStateClient } from "../../src/client/http-client.ts";
import type { StateManager } from "../../src/manager/state-manager.ts";
import { ChildFailed, RunInterrupted } from "../../src/processor/interruption.ts";
import type { LifoTaskProcessor, TaskHandler } from "../../src/processor/lifo-task-processor.ts";
import type { ChildRequest } from "../../src/processor/run.ts";
import type { Json } from "../../src/state/json.ts";
import type { TaskDetails } from "../../src/state/task.ts";
import { uniqueId } from "../contract/state-face/case.ts";
import { auditDatabase } from "../model/audit.ts";
import { serve } from "../server/serve.ts";
import type { Served } from "../server/serve.ts";
import { describeOnHomes, testHomes } from "../support/homes.ts";
import { openBench } from "../support/manager.ts";
import type { Bench } from "../support/manager.ts";
import { until } from "../support/until.ts";

const ENDS = ["completed", "failed", "canceled", "rejected"];
const PATIENT = { timeoutMs: 60_000 };
const TOO_LATE = { message: "its deadline passed" };

// The way of a worker in any language: over HTTP.
const [direct] = testHomes();

describeOnHomes(
  "the end of a task that does not go well",
  (home) => {
    let bench: Bench;
    let manager: StateManager;
    let served: Served;
    let client: HttpStateClient;
    const processors: LifoTaskProcessor[] = [];

    beforeAll(async () => {
      bench = await openBench(home);
      manager = bench.openManager({ tasks: { sweepMs: 100 } });
      served = await serve(manager);
      client = HttpStateClient.open({ url: served.url });
    });

    afterEach(async () => {
      await Promise.all(processors.splice(0).map((one) => one.stop({ drainMs: 0 })));
      await auditDatabase(bench, "default");
    });

    afterAll(async () => {
      await client.close();
      await served.close();
      await bench.close();
    });

    function start(stack: string, handler: TaskHandler): void {
      processors.push(client.startLifoTaskProcessor(handler, { stacks: [stack] }));
    }

    async function inPhase(id: string, ...phases: string[]): Promise<TaskDetails> {
      const look = async (): Promise<TaskDetails | undefined> => {
        const task = await client.tasks.get(id);
        return phases.includes(task.phase) ? task : undefined;
      };
      return await until(look, { ...PATIENT, what: `${id} ${phases.join(" or ")}` });
    }

    /** What a parent is told of a child, and what it makes of it: its own result. */
    async function toldOf(
      child: ChildRequest,
      meanwhile: (id: string) => Promise<unknown>,
    ): Promise<TaskDetails> {
      const stack = uniqueId("stack");
      start(stack, async (_task, run) => {
        try {
          return await run.child("c", { ...child, stack: `${stack}.idle` });
        } catch (error) {
          if (!(error instanceof ChildFailed)) throw error;
          return { phase: error.phase, error: error.error as Json };
        }
      });
      const { id } = await client.tasks.push(stack, {});
      await inPhase(id, "waiting");
      await meanwhile(`${id}.c`);
      return await inPhase(id, ...ENDS);
    }

    /** Its deadline, an hour away, is now. */
    async function timePasses(id: string): Promise<void> {
      const rows = await bench.sql(
        `update agent_state.tasks t set deadline = clock_timestamp() from agent_state.states s
          where s.state_no = t.task_no and s.id = $1 and t.deadline > clock_timestamp() returning 1`,
        [id],
      );
      expect(rows).toHaveLength(1);
    }

    test("a handler that is past the deadline of its task is told so, and what it says after is refused", async () => {
      const stack = uniqueId("stack");
      let reason: unknown;
      start(stack, async (task, run) => {
        await timePasses(task.id);
        while (reason === undefined)
          await run.checkpoint(1).catch((error: unknown) => (reason = error));
        return "late";
      });
      const { id } = await client.tasks.push(stack, { deadline: inAnHour() });
      const task = await inPhase(id, ...ENDS);
      expect(task).toMatchObject({ phase: "failed", error: TOO_LATE, attempt: 1, deadline: null });
      expect(task.result).toBeUndefined();
      await until(() => reason !== undefined, PATIENT);
      expect(reason).toBeInstanceOf(RunInterrupted);
      expect(reason).toMatchObject({ reason: "fenced", cause: { code: "EPOCH_FENCED" } });
      const late = client.tasks.complete(id, { epoch: 1n, result: "late" });
      await expect(late).rejects.toMatchObject({ code: "EPOCH_FENCED" });
    });

    test("a child that nobody does in time has failed, and its parent is told once", async () => {
      const parent = await toldOf({ deadline: inAnHour() }, timePasses);
      const id = `${parent.id}.c`;
      expect(parent).toMatchObject({
        phase: "completed",
        result: { phase: "failed", error: TOO_LATE },
        results: [{ from: "task", id, phase: "failed", error: TOO_LATE }],
        attempt: 1,
      });
      expect(parent.children).toEqual([{ id, phase: "failed" }]);
    });

    test("a child that is canceled is told to its parent once, with the reason", async () => {
      const error = { message: "no longer needed" };
      const parent = await toldOf({}, async (id) => {
        const order = { reason: error.message };
        expect(await client.tasks.cancel(id, order)).toEqual([{ id, phase: "canceled" }]);
        expect(await client.tasks.cancel(id, order)).toEqual([{ id, phase: "canceled" }]);
      });
      const id = `${parent.id}.c`;
      expect(parent).toMatchObject({
        phase: "completed",
        result: { phase: "canceled", error },
        results: [{ from: "task", id, phase: "canceled", error }],
        attempt: 1,
      });
    });

    test("a task that fails as often as it may is dead, and does not stand in the way of the one below", async () => {
      const stack = uniqueId("stack");
      const runs: string[] = [];
      const below = await client.tasks.push(stack, { input: "below" });
      const retry = { maxAttempts: 2, backoffMs: 0, maxBackoffMs: 0 };
      const { id } = await client.tasks.push(stack, { input: "dies", retry });
      start(stack, ({ input, attempt }) => {
        runs.push(`${input as string} ${attempt}`);
        if (input === "dies") throw new Error(`no ${attempt}`);
      });
      await inPhase(below.id, "completed");
      expect(await inPhase(id, ...ENDS)).toMatchObject({
        phase: "failed",
        attempt: 2,
        error: { name: "Error", message: "no 2" },
      });
      expect(runs).toEqual(["dies 1", "dies 2", "below 1"]);
      const { items } = await client.list({ type: "task", phase: "failed", scope: stack });
      expect(items.map((state) => state.id)).toEqual([id]);
    });

    /** Claims it as a worker of a process that then is gone, once for each of these points. */
    async function crashAt(
      stack: string,
      points: readonly (Json | undefined)[],
    ): Promise<string[]> {
      const phases: string[] = [];
      for (const resumePoint of points) {
        const worker = uniqueId("worker");
        const who = { worker, incarnation: "1", stacks: [stack] };
        const [task] = await client.tasks.claim({ ...who, waitMs: 30_000 });
        const { id, epoch } = task!;
        if (resumePoint !== undefined) await client.tasks.checkpoint(id, { epoch, resumePoint });
        expect(await manager.tasks.endLeases("default", { worker, before: inAnHour() })).toBe(1);
        phases.push((await client.tasks.get(id)).phase);
      }
      return phases;
    }

    test("a task that loses its worker again and again at the same point is confused, whatever it checkpoints", async () => {
      for (const points of [
        [undefined, undefined, undefined, undefined],
        [1, 1, 1, 1],
        ["a", "b", "a", "b", "a"],
      ]) {
        const stack = uniqueId("stack");
        const { id } = await client.tasks.push(stack, {});
        const phases = await crashAt(stack, points);
        expect(phases).toEqual(
          points.map((_, n) => (n < points.length - 1 ? "ready" : "confused")),
        );
        expect(
          await client.tasks.claim({ worker: "w", incarnation: "1", stacks: [stack] }),
        ).toEqual([]);
        await client.tasks.retry(id);
        start(stack, ({ resumePoint }) => resumePoint ?? null);
        expect((await inPhase(id, ...ENDS)).result).toEqual(points.at(-1) ?? null);
      }
    });

    test("and one that came to something new each time is not", async () => {
      const stack = uniqueId("stack");
      const { id } = await client.tasks.push(stack, {});
      expect(new Set(await crashAt(stack, [1, 1, 1, 2, 2, 2, 3]))).toEqual(new Set(["ready"]));
      // Neither an answer nor a receipt is a checkpoint; both are something new.
      for (const at of [1, 2, 3, 4, 5]) {
        await client.tasks.answer(id, { event: `e${at}`, data: at });
        expect(await crashAt(stack, [3])).toEqual(["ready"]);
      }
      for (const at of [1, 2, 3, 4, 5]) {
        const who = { worker: uniqueId("worker"), incarnation: "1", stacks: [stack] };
        const [task] = await client.tasks.claim({ ...who, waitMs: 30_000 });
        const { epoch } = task!;
        await client.tasks.effect(id, { epoch, key: `k${at}` });
        await client.tasks.effect(id, { epoch, key: `k${at}`, receipt: at });
        await manager.tasks.endLeases("default", { worker: who.worker, before: inAnHour() });
        expect((await client.tasks.get(id)).phase).toBe("ready");
      }
      await client.tasks.cancel(id);
    });
  },
  [direct!],
);

function inAnHour(): Date {
  return new Date(Date.now() + 3_600_000);
}
