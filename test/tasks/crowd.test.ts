import { afterAll, beforeAll, expect, test } from "vitest";
import type { StateManager } from "../../src/manager/state-manager.ts";
import type { TaskStore } from "../../src/state/task-port.ts";
import { auditDatabase } from "../model/audit.ts";
import { proveOnPostgres } from "../support/homes.ts";
import { proofLength } from "../support/length.ts";
import { openBench } from "../support/manager.ts";
import type { Bench } from "../support/manager.ts";
import { LONG_MS, pushOf, Tasks } from "../support/tasks.ts";

const PUSHERS = 3;
const WORKERS = 4;
const pushes = proofLength({ short: 60, full: 600 });
const namespace = "crowd";

proveOnPostgres("many workers, pushers and writers at once", (home) => {
  let bench: Bench;
  let manager: StateManager;
  let store: TaskStore;

  beforeAll(async () => {
    bench = await openBench(home);
    await bench.sql(`alter database ${bench.database.name} set deadlock_timeout = '20ms'`);
    manager = bench.openManager();
    ({ tasks: store } = bench.openStore({ readers: 8 }));
  });

  afterAll(() => bench.close());

  test(
    "run every task once, one at a time in each stack, and lose no result",
    async () => {
      const tasks = new Tasks(store, namespace);
      let toPush = PUSHERS * pushes;
      const stackOf = (n: number): string => `s${n % 3}`;
      const push = async (pusher: number): Promise<void> => {
        for (let n = 0; n < pushes; n++) {
          const preempt = n % 11 === 0 ? "now" : "step";
          const id = `p${pusher}.${n}`;
          const parent = n % 5 === 4 ? `p${pusher}.${n - 1}` : null;
          const [answer] = await tasks.push(
            pushOf(id, { stack: stackOf(n + pusher), preempt, parent }),
          );
          if (answer!.code === "TASK_ENDED")
            await tasks.push(pushOf(id, { stack: stackOf(n + pusher), preempt }));
          toPush--;
          if (n % 4 === 0)
            await manager.updateState(`n.${stackOf(n)}`, "note", n, {
              namespace,
              scope: stackOf(n),
            });
        }
      };
      const work = async (worker: string): Promise<void> => {
        while (toPush > 0 || (await open()) > 0) {
          await store.sweep(100);
          for (const task of await tasks.claim(worker, { limit: 2 })) {
            const step = await tasks.report(task, "checkpoint", { resume: { of: worker } });
            if (step.phase === "working") await tasks.report(task, "complete", { body: worker });
          }
        }
      };
      const open = async (): Promise<number> => {
        const rows = await bench.sql("select from agent_state.tasks where ended_at is null");
        return rows.length;
      };
      await Promise.all([
        ...Array.from({ length: PUSHERS }, (_, n) => push(n)),
        ...Array.from({ length: WORKERS }, (_, n) => work(`w${n}`)),
      ]);

      const log = await bench.sql<{ scope: string; id: string; phase: string }>(
        `select o.scope, s.id, c.phase from agent_state.changes c join agent_state.states s using (state_no)
         join agent_state.scopes o on o.scope_no = c.scope_no
        where s.namespace = $1 and s.type = 'task' order by c.scope_no, c.step, c.position`,
        [namespace],
      );
      const working = new Map<string, string>();
      const completed: string[] = [];
      for (const { scope, id, phase } of log) {
        if (phase === "working") {
          expect(working.get(scope) ?? id, `two at work in ${scope}`).toBe(id);
          working.set(scope, id);
        } else if (working.get(scope) === id) working.delete(scope);
        if (phase === "completed") completed.push(id);
      }
      expect(new Set(completed).size).toBe(PUSHERS * pushes);
      expect(completed.length).toBe(PUSHERS * pushes);
      expect(
        await bench.sql(
          "select from agent_state.tasks where not is_told and parent_no is not null",
        ),
      ).toEqual([]);
      await auditDatabase(bench, namespace);
    },
    LONG_MS * 5,
  );
});
