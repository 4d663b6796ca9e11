import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import type { TaskStore } from "../../src/state/task-port.ts";
import { auditDatabase } from "../model/audit.ts";
import { describeOnHomes, oneHome } from "../support/homes.ts";
import { openBench } from "../support/manager.ts";
import type { Bench } from "../support/manager.ts";
import { pushOf, Tasks } from "../support/tasks.ts";
import { until } from "../support/until.ts";

const A_DAY_MS = 86_400_000;

describeOnHomes(
  "tasks that ended long ago",
  (home) => {
    let bench: Bench;
    let store: TaskStore;
    let namespace = "";
    let tasks: Tasks;
    let count = 0;

    beforeAll(async () => {
      bench = await openBench(home);
      ({ tasks: store } = bench.openStore());
    });

    afterAll(() => bench.close());

    beforeEach(() => {
      namespace = `n${++count}`;
      tasks = new Tasks(store, namespace);
    });

    const yesterday = (): Date => new Date(Date.now() - A_DAY_MS);

    /** Pushes it, and has it end. */
    async function end(id: string, push: Parameters<typeof pushOf>[1] = {}): Promise<void> {
      await tasks.push(pushOf(id, { stack: id, ...push }));
      await tasks.report(await tasks.claimOne("w", { stacks: [id] }), "complete", {
        body: { of: id },
      });
    }

    /** Makes everything of the namespace so many days older. */
    async function age(days: number): Promise<void> {
      const client = await bench.connect();
      await client.query("set session_replication_role = replica"); // nobody's handiwork: time passes
      await client.query(
        `update agent_state.states set created_at = created_at - $2 * interval '1 day' where namespace = $1`,
        [namespace, days],
      );
      await client.query(
        `update agent_state.tasks t set ended_at = t.ended_at - $2 * interval '1 day' from agent_state.states s
          where s.state_no = t.task_no and s.namespace = $1`,
        [namespace, days],
      );
      await client.end();
    }

    async function scheduled(): Promise<string[]> {
      const rows = await bench.sql<{ id: string }>(
        `select s.id from agent_state.tasks t join agent_state.states s on s.state_no = t.task_no where s.namespace = $1 order by 1`,
        [namespace],
      );
      return rows.map(({ id }) => id);
    }

    /** Looks at all there are, page by page, as often as it takes until nothing is forgotten. */
    async function pruneAll(limit = 3): Promise<number> {
      let sum = 0;
      for (let before = -1; before !== sum;) {
        before = sum;
        for (let after: bigint | null = 0n; after !== null;) {
          const { forgotten, last } = await store.prune(after, yesterday(), limit);
          sum += forgotten;
          after = last;
        }
      }
      return sum;
    }

    test("are forgotten with their receipts, and their states say what they were", async () => {
      await tasks.push(pushOf("old", { stack: "s", priority: 3 }));
      const held = await tasks.claimOne("w", { stacks: ["s"] });
      const effect = { id: "old", epoch: held.epoch, key: "k", receipt: "1", again: false };
      await store.recordEffect(namespace, effect);
      await tasks.report(held, "complete", { body: { of: "old" } });
      await age(2);
      await end("young");
      const before = await tasks.read("old");
      expect(await pruneAll()).toBe(1);
      expect(await scheduled()).toEqual(["young"]);
      const gone = { seq: null, children: [], effects: [] };
      expect(await tasks.read("old")).toEqual({ ...before, ...gone });
      expect(await bench.sql("select from agent_state.effects where key = 'k'")).toEqual([]);
      expect((await tasks.report(held, "complete")).code).toBe("TASK_NOT_FOUND");
      const back = bench.openManager().rollback("s", { namespace, toStep: 1n });
      await expect(back).rejects.toMatchObject({ code: "TERMINAL_PUBLISHED" });
      const [again] = await tasks.push(pushOf("again", { supersedes: "old" }));
      expect(again!.code).toBeNull();
      await auditDatabase(bench, namespace);
    });

    test("stay while their parent lives; of a family that ended the children go first", async () => {
      await tasks.push(pushOf("root", { stack: "root" }));
      const root = await tasks.claimOne("w", { stacks: ["root"] });
      await end("a", { parent: "root" });
      await tasks.push(pushOf("b", { stack: "b", parent: "root" }));
      const b = await tasks.claimOne("w", { stacks: ["b"] });
      await end("b1", { parent: "b" });
      await tasks.report(b, "complete");
      await age(2);
      expect(await pruneAll(100), "of the tree of one who lives").toBe(1);
      expect(await scheduled()).toEqual(["a", "b", "root"]);
      expect((await tasks.read("root")).children).toHaveLength(2);
      await auditDatabase(bench, namespace);

      await tasks.report(root, "complete");
      await age(2);
      const { forgotten } = await store.prune(0n, yesterday(), 100);
      expect(forgotten).toBe(2);
      expect(await scheduled()).toEqual(["root"]);
      await auditDatabase(bench, namespace);
      expect(await pruneAll()).toBe(1);
      expect(await scheduled()).toEqual([]);
    });

    test("are looked for among the oldest: no further than to where all are young", async () => {
      await end("old");
      await age(2);
      for (const id of ["y1", "y2", "y3", "y4"]) await end(id);
      const [first] = await bench.sql<{ task_no: string }>(
        `select t.task_no from agent_state.tasks t join agent_state.states s on s.state_no = t.task_no
          where s.namespace = $1 and s.id = 'old'`,
        [namespace],
      );
      const from = BigInt(first!.task_no) - 1n;
      const page = await store.prune(from, yesterday(), 2);
      expect(page).toEqual({ forgotten: 1, last: from + 2n });
      expect(await store.prune(page.last!, yesterday(), 2)).toEqual({ forgotten: 0, last: null });
    });

    test("are forgotten by whoever sweeps, after as many days as the service is set to", async () => {
      await end("old");
      await age(3);
      const manager = bench.openManager({ tasks: { sweepMs: 100, keepDays: 0 } });
      await manager.tasks.push("s", { namespace, id: "sweeps", delayMs: 1 });
      await until(async () => (await manager.tasks.get("sweeps", { namespace })).phase === "ready");
      await manager.close();
      expect(await scheduled(), "kept for ever").toContain("old");
      const forgetful = bench.openManager({ tasks: { sweepMs: 100, keepDays: 2 } });
      await until(async () => !(await scheduled()).includes("old"));
      expect(await forgetful.tasks.get("old", { namespace })).toMatchObject({ phase: "completed" });
      await forgetful.close();
    });
  },
  oneHome(),
);
