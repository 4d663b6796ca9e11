import { afterAll, afterEach, beforeAll, expect, test, vi } from "vitest";
import type { StateManager } from "../../src/manager/state-manager.ts";
import { LifoTaskProcessor } from "../../src/processor/lifo-task-processor.ts";
import type { TaskHandler } from "../../src/processor/lifo-task-processor.ts";
import { AgentRuntimeError } from "../../src/state/errors.ts";
import type { PushRequest, TaskFace } from "../../src/state/task-face.ts";
import type { Task } from "../../src/state/task.ts";
import { describeOnHomes, testHomes } from "../support/homes.ts";
import { openBench } from "../support/manager.ts";
import type { Bench } from "../support/manager.ts";
import { until } from "../support/until.ts";

const [direct] = testHomes();
const ENDS = ["completed", "failed", "canceled", "rejected"];

describeOnHomes(
  "what handlers do in odd cases",
  (home) => {
    let bench: Bench;
    let manager: StateManager;
    let sweeps: NodeJS.Timeout;
    const processors: LifoTaskProcessor[] = [];

    beforeAll(async () => {
      bench = await openBench(home);
      manager = bench.openManager();
      sweeps = setInterval(() => void manager.tasks.sweep().catch(() => undefined), 50);
    });

    afterEach(async () => {
      vi.restoreAllMocks();
      await Promise.all(processors.splice(0).map((processor) => processor.stop({ drainMs: 0 })));
    });

    afterAll(async () => {
      clearInterval(sweeps);
      await bench.close();
    });

    function start(handler: TaskHandler, stacks: readonly string[], tasks?: TaskFace): void {
      const parts = { tasks: tasks ?? manager.tasks };
      processors.push(new LifoTaskProcessor(parts, handler, { stacks, concurrency: 1 }));
    }

    async function ended(id: string): Promise<Task> {
      return await until<Task | undefined>(
        async () => {
          const task = await manager.tasks.get(id);
          return ENDS.includes(task.phase) ? task : undefined;
        },
        { timeoutMs: 60_000, what: `the end of ${id}` },
      );
    }

    async function outcome(
      stack: string,
      handler: TaskHandler,
      request: PushRequest = {},
    ): Promise<Task> {
      start(handler, [stack]);
      const retry = { maxAttempts: 2, backoffMs: 0 };
      return await ended((await manager.tasks.push(stack, { retry, ...request })).id);
    }

    test("an end is told with whatever reason its handler gives", async () => {
      const error = (task: Task): unknown => [task.phase, task.attempt, task.error];
      const boom = await outcome("boom", (_task, run) => run.fail(new RangeError("too far")));
      const told = { name: "RangeError", message: "too far" };
      expect(error(boom)).toEqual(["failed", 2, told]);
      const no = await outcome("no", (_task, run) => run.reject(new RangeError("too far")));
      expect(error(no)).toEqual(["rejected", 1, told]);
      const silent = await outcome("silent", (_task, run) => run.fail());
      expect(error(silent)).toEqual(["failed", 2, { message: "the handler did not say why" }]);
      const early = await outcome("early", (_task, run) =>
        run.fail("early", { retryAfterMs: -1.5 }),
      );
      expect(error(early)).toEqual(["failed", 2, "early"]);
      const half = await outcome("half", (_task, run) => run.fail("half", { retryAfterMs: 0.5 }));
      expect(error(half)).toEqual(["failed", 2, "half"]);
      const odd = await outcome("odd", (_task, run) =>
        run.fail("odd", { retry: "no" as unknown as boolean }),
      );
      expect(odd).toMatchObject({ attempt: 1, error: { code: "INVALID_REQUEST" } });
    });

    test("children go as deep as they may, however long their ids would be", async () => {
      const handler: TaskHandler = async ({ input }, run) => {
        const levels = input as number;
        const key = `what there is to find out ${levels}`;
        return levels === 0 ? 0 : 1 + Number(await run.child(key, { input: levels - 1 }));
      };
      expect(await outcome("deep", handler, { input: 20 })).toMatchObject({ result: 20 });
    });

    test("a checkpoint that gave the task back does so too where its answer was lost", async () => {
      let lose = true;
      const tasks: TaskFace = Object.assign(Object.create(manager.tasks) as TaskFace, {
        checkpoint: async (id: string, report: { epoch: bigint }) => {
          const answer = await manager.tasks.checkpoint(id, report);
          if (!lose) return answer;
          lose = false;
          // What cut in comes and goes before it is asked again.
          const me = { worker: "other", incarnation: "1" };
          const [newer] = await manager.tasks.claim({ ...me, stacks: ["lost"] });
          await manager.tasks.complete(newer!.id, { epoch: newer!.epoch });
          throw new AgentRuntimeError("UNAVAILABLE", "lost", { mayHaveHappened: true });
        },
      });
      const reasons: unknown[] = [];
      start(
        async ({ id }, run) => {
          if (reasons.length > 0) return "done";
          await manager.tasks.push("lost", { id: `${id}.newer` });
          await run.checkpoint(1).catch((error: unknown) => reasons.push(error));
          return "as if nothing had happened";
        },
        ["lost"],
        bound(tasks),
      );
      const { id } = await manager.tasks.push("lost", {});
      expect(await ended(id)).toMatchObject({ result: "done", resumePoint: 1 });
      expect(reasons).toMatchObject([{ name: "RunInterrupted", reason: "preempted" }]);
    });

    test("a sleep is over when the database says so, whatever the clocks of its runs say", async () => {
      for (const [stack, hours] of [
        ["ahead", 1],
        ["behind", -1],
      ] as const) {
        const real = Date.now;
        const clock = vi.spyOn(Date, "now").mockImplementation(() => real() + hours * 3_600_000);
        const at: number[] = [];
        const handler: TaskHandler = async (_task, run) => {
          at.push(performance.now());
          await run.sleep("nap", 300).finally(() => clock.mockRestore());
          return at.length;
        };
        expect(await outcome(stack, handler)).toMatchObject({ result: 2 });
        expect(at[1]! - at[0]!).toBeGreaterThan(290);
      }
    });

    test("what goes on after a rollback has the children and receipts of what it goes on with", async () => {
      const done: string[] = [];
      const act = ({ idempotencyKey }: { idempotencyKey: string }): string => {
        done.push(idempotencyKey);
        if (done.length === 2) throw new Error("no answer");
        return "paid";
      };
      const handler: TaskHandler = async (task, run) => {
        if (task.kind === "child") return done.push(task.id);
        const found = await run.child("look", { kind: "child", stack: "elsewhere" });
        await run.checkpoint(1);
        return [found, await run.effect("pay", act, { inDoubt: "again" })];
      };
      start(handler, ["back", "elsewhere"]);
      await manager.tasks.push("back", { id: "back", retry: { backoffMs: 0 } });
      await ended("back");
      expect(done).toEqual(["back.look", "back/pay", "back/pay"]);
      await bench.sql(
        `update agent_state.effects set done_at = null, receipt = null where key = 'pay'`,
      );
      let last = "back";
      for (let round = 0; round < 2; round++) {
        const { step } = await manager.scope("back", { consistency: "strong" });
        const { states } = await manager.rollback("back", { toStep: step - 1n });
        last = states.find(({ supersededBy }) => supersededBy !== undefined)!.supersededBy!;
        expect(await ended(last)).toMatchObject({ result: [1, "paid"] });
      }
      expect(done).toEqual(["back.look", "back/pay", "back/pay", "back/pay"]);
    });
  },
  [direct!],
);

/** Methods of a class that work on its private fields, on an object beside it. */
function bound(tasks: TaskFace): TaskFace {
  const real = Object.getPrototypeOf(tasks) as TaskFace;
  return new Proxy(real, {
    get: (_real, name) => {
      if (Object.hasOwn(tasks, name)) return tasks[name as keyof TaskFace];
      const value: unknown = Reflect.get(real, name);
      return typeof value === "function" ? (value as () => unknown).bind(real) : value;
    },
  });
}
