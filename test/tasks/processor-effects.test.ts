import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { StateManager } from "../../src/manager/state-manager.ts";
import type { TaskDetails } from "../../src/state/task.ts";
import { randomFrom } from "../fault/random.ts";
import { refusalOf } from "../contract/state-face/case.ts";
import { auditDatabase } from "../model/audit.ts";
import { describeOnHomes, testHomes } from "../support/homes.ts";
import { proofLength } from "../support/length.ts";
import { openBench } from "../support/manager.ts";
import type { Bench } from "../support/manager.ts";
import { until } from "../support/until.ts";
import { startWorker } from "./worker.ts";
import type { WorkerProcess } from "./worker.ts";

const LEASE_MS = 3_000;
const TASKS = proofLength({ short: 60, full: 1_000 });
const WORKERS = 3;
/** Longest of the three pauses of a task. */
const PAUSE_MS = proofLength({ short: 300, full: 1_000 });
const LIMIT_MS = proofLength({ short: 240_000, full: 1_800_000 });

const [direct] = testHomes();

describeOnHomes(
  "a side effect outside of the database",
  (home) => {
    let bench: Bench;
    let manager: StateManager;
    let folder: string;
    let file: string;
    const logs: string[] = [];

    beforeAll(async () => {
      bench = await openBench(home);
      manager = bench.openManager({ tasks: { leaseMs: LEASE_MS } });
      folder = await mkdtemp(join(tmpdir(), "art-effects-"));
      file = join(folder, "counter");
      await writeFile(file, "");
    });

    afterAll(async () => {
      await bench.close();
      await rm(folder, { recursive: true, force: true });
    });

    function start(stacks: readonly string[]): Promise<WorkerProcess> {
      const way = { database: bench.database.url, leaseMs: LEASE_MS, stacks };
      return startWorker(way, file);
    }

    /** How often each task counted, or was told to be in doubt. */
    async function lines(word: string): Promise<Map<string, number>> {
      const found = new Map<string, number>();
      for (const line of (await readFile(file, "utf8")).split("\n")) {
        const [said, id = ""] = line.split(" ");
        if (said === word) found.set(id, (found.get(id) ?? 0) + 1);
      }
      return found;
    }

    async function living(): Promise<{ id: string; phase: string }[]> {
      return await bench.sql(
        `select s.id, t.phase from agent_state.tasks t join agent_state.states s on s.state_no = t.task_no
          where t.ended_at is null`,
      );
    }

    /** Every epoch under which a worker ever began a task. */
    function begun(): { id: string; epoch: bigint }[] {
      return [...logs.join("\n").matchAll(/^start (\S+) (\d+)/gm)].map(([, id, epoch]) => ({
        id: id!,
        epoch: BigInt(epoch!),
      }));
    }

    test(
      "is counted once, whatever happens to three workers; where that is in doubt, it is told",
      { timeout: LIMIT_MS + 60_000 },
      async () => {
        const stacks = Array.from({ length: 20 }, (_, n) => `stack-${n}`);
        const ids = await Promise.all(
          Array.from({ length: TASKS }, async (_, n) => {
            const input = { ms: PAUSE_MS, again: n % 2 === 0 };
            const push = { id: `t${n}`, kind: "count", input };
            return (await manager.tasks.push(stacks[n % stacks.length]!, push)).id;
          }),
        );
        await disturb(stacks);

        const [counts, doubts] = [await lines("count"), await lines("doubt")];
        const tasks = await Promise.all(ids.map((id) => manager.tasks.get(id)));
        for (const task of tasks) expectHonest(task, counts, doubts);
        await expectFenced(tasks);
        const told = tasks.filter(({ phase }) => phase === "failed").map(({ id }) => id);
        await auditDatabase(bench, "default", told);
        const again = [...doubts.values()].reduce((sum, n) => sum + n, 0);
        console.log(
          `${TASKS} tasks, ${logs.length} workers, in doubt: ${told.length} ended so, ${again} done again`,
        );
      },
    );

    /** Kills and freezes workers until all is done. */
    async function disturb(stacks: readonly string[]): Promise<void> {
      const random = randomFrom(5);
      const workers = await Promise.all(Array.from({ length: WORKERS }, () => start(stacks)));
      const endAt = performance.now() + LIMIT_MS;
      for (let left = await living(); left.length > 0; left = await living()) {
        if (performance.now() > endAt) throw new Error(`not done: ${JSON.stringify(left)}`);
        for (const { id, phase } of left) if (phase === "confused") await manager.tasks.retry(id);
        await sleep(random(500));
        const at = random(WORKERS);
        const worker = workers[at]!;
        if (random(2) === 0) {
          await worker.kill();
          logs.push(worker.stdout);
          workers[at] = await start(stacks);
        } else {
          process.kill(worker.pid, "SIGSTOP");
          await sleep(random(2 * LEASE_MS));
          process.kill(worker.pid, "SIGCONT");
        }
      }
      for (const worker of workers) {
        await worker.kill();
        logs.push(worker.stdout);
      }
    }

    function expectHonest(
      { id, phase, error, effects }: TaskDetails,
      counts: ReadonlyMap<string, number>,
      doubts: ReadonlyMap<string, number>,
    ): void {
      const count = counts.get(id) ?? 0;
      if (phase === "completed") {
        expect(count, id).toBeGreaterThan(0);
        expect(count - 1, `${id} counted twice`).toBeLessThanOrEqual(doubts.get(id) ?? 0);
        expect(effects, id).toMatchObject([{ key: "count", standing: "done" }]);
      } else {
        expect({ phase, error, effects }, id).toMatchObject({
          phase: "failed",
          error: { code: "EFFECT_IN_DOUBT" },
          effects: [{ key: "count", standing: "in_doubt" }],
        });
        expect(count, id).toBeLessThanOrEqual(1);
      }
    }

    /** Nothing that a worker of an earlier epoch would still say is taken. */
    async function expectFenced(tasks: readonly TaskDetails[]): Promise<void> {
      const last = new Map(tasks.map(({ id, epoch }) => [id, epoch]));
      const zombies = begun().filter(({ id, epoch }) => epoch < (last.get(id) ?? 0n));
      for (const { id, epoch } of zombies) {
        const receipt = "a zombie's";
        const late = await refusalOf(manager.tasks.effect(id, { epoch, key: "count", receipt }));
        expect(late.code).toBe("EPOCH_FENCED");
        expect((await refusalOf(manager.tasks.complete(id, { epoch }))).code).toBe("EPOCH_FENCED");
      }
    }

    test(
      "that was begun by a worker that was killed is in doubt",
      { timeout: 180_000 },
      async () => {
        const push = { id: "hung", kind: "count", input: { ms: 0, hang: true } };
        await manager.tasks.push("hung", push);
        const first = await start(["hung"]);
        await first.says(/acting hung/);
        await first.kill();
        const heir = await start(["hung"]);
        await until(async () => (await manager.tasks.get("hung")).phase === "failed", {
          timeoutMs: 120_000,
        });
        await heir.kill();
        expectHonest(await manager.tasks.get("hung"), await lines("count"), await lines("doubt"));
        expect((await lines("count")).get("hung")).toBe(1);
      },
    );
  },
  [direct!],
);
