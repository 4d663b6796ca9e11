import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import type { StateManager } from "../../src/manager/state-manager.ts";
import { serve } from "../server/serve.ts";
import type { Served } from "../server/serve.ts";
import { describeOnHomes, testHomes } from "../support/homes.ts";
import { proofLength } from "../support/length.ts";
import { openBench } from "../support/manager.ts";
import type { Bench } from "../support/manager.ts";
import { until } from "../support/until.ts";
import { startWorker } from "./worker.ts";
import type { Way, WorkerProcess } from "./worker.ts";

// A busy machine may keep a thread waiting for seconds.
const LEASE_MS = 10_000;
const BLOCK_MS = proofLength({ short: 25_000, full: 60_000 });
const PATIENT = { timeoutMs: 120_000 };

// The thread and its calls are the same on each.
const [direct] = testHomes();

describeOnHomes(
  "the lease of a processor",
  (home) => {
    let bench: Bench;
    let manager: StateManager;
    let served: Served;
    let folder: string;
    const started: WorkerProcess[] = [];

    beforeAll(async () => {
      bench = await openBench(home);
      manager = bench.openManager({ tasks: { leaseMs: LEASE_MS } });
      served = await serve(manager);
      folder = await mkdtemp(join(tmpdir(), "art-worker-"));
    });

    // Those of one test would take what the next one pushes.
    afterEach(async () => {
      await Promise.all(started.splice(0).map((worker) => worker.kill()));
    });

    afterAll(async () => {
      await served.close();
      await bench.close();
      await rm(folder, { recursive: true, force: true });
    });

    const ways = (): Way[] => [
      { service: served.url },
      { database: bench.database.url, leaseMs: LEASE_MS },
    ];

    async function start(way: Way, file: string): Promise<WorkerProcess> {
      const worker = await startWorker(way, join(folder, file));
      started.push(worker);
      return worker;
    }

    async function phaseOf(id: string): Promise<string> {
      return (await manager.tasks.get(id)).phase;
    }

    test(
      "is kept by a handler that blocks the event loop for much longer than it lasts",
      { timeout: BLOCK_MS + 2 * PATIENT.timeoutMs },
      async () => {
        // Each its own, so that both are blocked at the same time.
        const pushed = await Promise.all(
          ways().map(async (way, index) => {
            const stack = `blocked-${index}`;
            await start({ ...way, stacks: [stack] }, "blocked");
            return await manager.tasks.push(stack, { kind: "block", input: { ms: BLOCK_MS } });
          }),
        );
        await until(async () => {
          const phases = await Promise.all(pushed.map(({ id }) => phaseOf(id)));
          return phases.every((phase) => phase === "completed");
        }, PATIENT);
        for (const { id } of pushed)
          expect(await manager.tasks.get(id)).toMatchObject({ result: "blocked", epoch: 1n });
      },
    );

    test(
      "is lost by a process that is frozen; what it does afterwards is refused",
      { timeout: 3 * PATIENT.timeoutMs },
      async () => {
        const gate = join(folder, "gate");
        const frozen: { id: string; worker: WorkerProcess }[] = [];
        for (const [index, way] of ways().entries()) {
          const stack = `stack-${index}`;
          const worker = await start({ ...way, stacks: [stack] }, "frozen");
          const input = { halt: 4, gate };
          const id = `frozen-${index}`;
          await manager.tasks.push(stack, { id, kind: "steps", input });
          await worker.says(new RegExp(`step ${id} 4`));
          process.kill(worker.pid, "SIGSTOP");
          frozen.push({ id, worker });
        }
        const heir = manager.startLifoTaskProcessor(({ resumePoint }) => resumePoint);
        for (const { id } of frozen) {
          await until(async () => (await phaseOf(id)) === "completed", PATIENT);
          expect(await manager.tasks.get(id)).toMatchObject({ result: { step: 3 }, epoch: 3n });
        }
        await heir.stop();
        await writeFile(gate, "");
        for (const { id, worker } of frozen) {
          process.kill(worker.pid, "SIGCONT");
          await worker.says(new RegExp(`end ${id} 1 fenced`));
          expect(await manager.tasks.get(id)).toMatchObject({ result: { step: 3 }, epoch: 3n });
        }
      },
    );
  },
  [direct!],
);
