import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import type { StateManager } from "../../src/manager/state-manager.ts";
import { LifoTaskProcessor } from "../../src/processor/lifo-task-processor.ts";
import type { ProcessorParts, TaskHandler } from "../../src/processor/lifo-task-processor.ts";
import type { TaskFace } from "../../src/state/task-face.ts";
import { describeOnHomes, testHomes } from "../support/homes.ts";
import { openBench } from "../support/manager.ts";
import type { Bench } from "../support/manager.ts";
import { until } from "../support/until.ts";

const [direct] = testHomes();

describeOnHomes(
  "a processor that hears of its lease late",
  (home) => {
    let bench: Bench;
    let manager: StateManager;
    const processors: LifoTaskProcessor[] = [];

    beforeAll(async () => {
      bench = await openBench(home);
      manager = bench.openManager();
    });

    afterEach(async () => {
      await Promise.all(processors.splice(0).map((processor) => processor.stop({ drainMs: 0 })));
    });

    afterAll(async () => await bench.close());

    function start(
      parts: Pick<ProcessorParts, "tasks" | "leaseThread">,
      handler: TaskHandler,
      stack: string,
    ): LifoTaskProcessor {
      const options = { worker: stack, stacks: [stack], concurrency: 1 };
      const processor = new LifoTaskProcessor(parts, handler, options);
      processors.push(processor);
      return processor;
    }

    /** The lease of the one incarnation that a worker had. */
    async function setLease(worker: string, interval: string): Promise<void> {
      await bench.sql(
        `update agent_state.workers set lease_until = clock_timestamp() + $2::interval where worker = $1`,
        [worker, interval],
      );
    }

    test("claims nothing before its lease can be kept without the event loop", async () => {
      const data = new SharedArrayBuffer(4);
      const code = `
        import { parentPort, workerData } from "node:worker_threads";
        Atomics.wait(new Int32Array(workerData.data), 0, 0);
        parentPort.postMessage({ news: "up" });
        parentPort.ref();`;
      const entry = new URL(`data:text/javascript,${encodeURIComponent(code)}`);
      const [early, other] = await Promise.all(
        ["early", "other"].map((stack) => manager.tasks.push(stack, {})),
      );
      start({ tasks: manager.tasks, leaseThread: { entry, data } }, () => "done", "early");
      start(manager, () => "done", "other");
      const phase = async ({ id }: { readonly id: string } = early!): Promise<string> =>
        (await manager.tasks.get(id)).phase;
      await until(async () => (await phase(other)) === "completed");
      expect(await phase()).toBe("ready");
      Atomics.store(new Int32Array(data), 0, 1);
      Atomics.notify(new Int32Array(data), 0);
      await until(async () => (await phase()) === "completed");
    });

    test("goes on as another incarnation where it is refused and yet still the holder", async () => {
      const stack = "refused";
      const { tasks } = bench.openManager({ tasks: { leaseMs: 1_500 } });
      let refused = 0;
      let open = (): void => undefined;
      const gate = new Promise<void>((resolve) => (open = resolve));
      const handler: TaskHandler = async ({ epoch }, run) => {
        if (epoch > 1n) return "again";
        // No sweep in between, and no heartbeat: what the refusal saw is not so any more.
        const sweep = await bench.connect();
        await sweep.query("begin");
        await sweep.query("select pg_advisory_xact_lock(hashtext('agent_state.sweep_tasks'))");
        await setLease(stack, "-1 ms");
        await run.checkpoint(1).catch(() => refused++);
        await setLease(stack, "1500 ms");
        await sweep.query("rollback");
        open();
        return "the refused one's";
      };
      const slow = over(tasks, {
        heartbeat: async (worker, request) => {
          await gate;
          return await tasks.heartbeat(worker, request);
        },
      });
      start({ tasks: slow }, handler, stack);
      const { id } = await manager.tasks.push(stack, {});
      await until(async () => (await manager.tasks.get(id)).phase === "completed");
      expect(await manager.tasks.get(id)).toMatchObject({ result: "again" });
      expect(refused).toBe(1);
    });

    test("gives back what a claim brings after it has stopped, and keeps no lease for it", async () => {
      const stack = "stopped";
      let [sent, open] = [(): void => undefined, (): void => undefined];
      const isSent = new Promise<void>((resolve) => (sent = resolve));
      const gate = new Promise<void>((resolve) => (open = resolve));
      let beats = 0;
      let runs = 0;
      const { id } = await manager.tasks.push(stack, {});
      const slow = over(manager.tasks, {
        claim: async (request) => {
          const claimed = await manager.tasks.claim(request);
          sent();
          await gate;
          return claimed;
        },
        heartbeat: (worker, request) => {
          beats++;
          return manager.tasks.heartbeat(worker, request);
        },
      });
      const processor = start({ tasks: slow }, () => runs++, stack);
      await isSent;
      expect((await manager.tasks.get(id)).phase).toBe("working");
      await processor.stop({ drainMs: 0 });
      const before = beats;
      open();
      await until(async () => (await manager.tasks.get(id)).phase === "ready");
      expect({ runs, beats, lease: (await manager.tasks.get(id)).lease }).toEqual({
        runs: 0,
        beats: before,
        lease: null,
      });
    });
  },
  [direct!],
);

/** A face of which some calls go another way. */
function over(face: TaskFace, calls: Partial<TaskFace>): TaskFace {
  return new Proxy(face, {
    get: (_target, name) => {
      const call: unknown = Reflect.get(calls, name) ?? Reflect.get(face, name);
      return typeof call === "function" ? (call.bind(face) as unknown) : call;
    },
  });
}
