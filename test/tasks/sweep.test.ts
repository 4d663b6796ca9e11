import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import type { StateManager } from "../../src/manager/state-manager.ts";
import type { Sweep, TaskStore } from "../../src/state/task-port.ts";
import { auditDatabase } from "../model/audit.ts";
import { describeOnHomes, testHomes } from "../support/homes.ts";
import { openBench } from "../support/manager.ts";
import type { Bench } from "../support/manager.ts";
import { pushOf, Tasks } from "../support/tasks.ts";
import { until } from "../support/until.ts";

const OLD = 100_000;

// What is proven is in the functions; ways to them do not matter.
const [direct] = testHomes();

describeOnHomes(
  "a sweep of tasks",
  (home) => {
    let bench: Bench;
    let manager: StateManager;
    let store: TaskStore;
    let namespace = "";
    let tasks: Tasks;
    let count = 0;

    beforeAll(async () => {
      bench = await openBench(home);
      // It sweeps too seldom to take part.
      manager = bench.openManager({ tasks: { sweepMs: 60_000 } });
      ({ tasks: store } = bench.openStore());
      await until(async () => (await manager.tasks.sweep()).nextDue === null);
    });

    afterAll(() => bench.close());

    beforeEach(() => {
      namespace = `n${++count}`;
      tasks = new Tasks(store, namespace);
    });

    async function sweep(limit = 1_000): Promise<Sweep> {
      return await until(() => store.sweep(limit));
    }

    async function expire(worker: string): Promise<void> {
      await bench.sql(
        "update agent_state.workers set lease_until = clock_timestamp() where namespace = $1 and worker like $2",
        [namespace, worker],
      );
    }

    /** Tasks of stacks of their own, each held by a worker of its own. */
    async function hold(names: readonly string[]): Promise<void> {
      await tasks.push(...names.map((name) => pushOf(name, { stack: name })));
      for (const name of names) await tasks.claimOne(name, { stacks: [name] });
    }

    async function countOf(table: "workers" | "fenced_tasks"): Promise<number> {
      const [row] = await bench.sql<{ n: number }>(
        `select count(*)::int as n from agent_state.${table}`,
      );
      return row!.n;
    }

    test("reads nothing of workers and tasks that are done with, however many", async () => {
      await hold(["a", "b"]);
      await bench.sql(
        `insert into agent_state.workers (namespace, worker, incarnation, lease_ms, lease_until, ended_at)
         select $1, 'old.' || g, '1', 1000, clock_timestamp() - interval '9 min', clock_timestamp() - interval '9 min' from generate_series(1, $2::int) g`,
        [namespace, OLD],
      );
      await bench.sql(
        `insert into agent_state.fenced_tasks (worker_no, task_no, at)
         select w.worker_no, 1, w.ended_at from agent_state.workers w where w.ended_at is not null`,
      );
      const client = await bench.connect();
      await client.query("begin");
      const { rows: before } = await client.query<Read>(READ);
      await client.query("select * from agent_state_api.sweep_tasks(1000, 3)");
      const { rows: after } = await client.query<Read>(READ);
      await client.query("rollback");
      await client.end();
      const read = after.map(({ relname, rows }, index) => {
        return [relname, Number(rows) - Number(before[index]!.rows)] as const;
      });
      expect(read.map(([relname]) => relname)).toEqual(
        expect.arrayContaining(["workers", "tasks"]),
      );
      for (const [relname, rows] of read) expect(rows, `rows of ${relname}`).toBeLessThan(50);
    });

    test("forgets them after an hour, so many at a time", async () => {
      const old = "clock_timestamp() - interval '61 min'";
      await bench.sql(
        `update agent_state.workers set ended_at = ${old} where worker_no in
           (select w.worker_no from agent_state.workers w where w.ended_at is not null limit 250)`,
      );
      await bench.sql(
        `update agent_state.fenced_tasks set at = ${old} where ctid in (select f.ctid from agent_state.fenced_tasks f limit 250)`,
      );
      const [workers, fenced] = [await countOf("workers"), await countOf("fenced_tasks")];
      const more = [];
      for (let times = 0; times < 3; times++) more.push((await sweep(100)).more);
      expect(more).toEqual([true, true, false]);
      expect(await countOf("workers")).toBe(workers - 250);
      expect(await countOf("fenced_tasks")).toBe(fenced - 250);
    });

    test("takes over from many workers in turns, whoever was lost before them", async () => {
      const names = Array.from({ length: 5 }, (_, n) => `w${n}`);
      await bench.sql(
        `insert into agent_state.workers (namespace, worker, incarnation, lease_ms, lease_until)
         select $1, 'idle.' || g, '1', 1000, clock_timestamp() - interval '9 min' from generate_series(1, 25) g`,
        [namespace],
      );
      await hold(names);
      await expire("w%");
      const taken = [];
      for (let times = 0; times < 4; times++) taken.push(await sweep(10));
      expect(taken.map(({ more }) => more)).toEqual([true, true, true, false]);
      expect(taken.reduce((sum, { takenOver }) => sum + takenOver, 0)).toBe(5);
      for (const name of names) expect(await tasks.stack(name)).toEqual([`${name} ready`]);
      await auditDatabase(bench, namespace);
    });

    test("finds a worker again that was lost, came back, and is lost again", async () => {
      await hold(["w"]);
      for (let times = 0; times < 2; times++) {
        await expire("w");
        expect((await sweep()).takenOver).toBe(1);
        await store.heartbeat(namespace, tasks.order("w"));
        await tasks.claimOne("w");
      }
    });

    test("counts what others did meanwhile, once: who was cut in on, who came back too late", async () => {
      await sweep();
      await hold(["w", "v"]);
      await tasks.push(pushOf("now", { stack: "w", preempt: "now" }));
      await tasks.report(await tasks.claimOne("w", { stacks: ["w"] }), "complete");
      await tasks.claimOne("w", { stacks: ["w"] });
      await tasks.push(pushOf("now again", { stack: "w", preempt: "now" }));
      await expire("v");
      expect((await store.heartbeat(namespace, tasks.order("v"))).fenced).toEqual(["v"]);
      expect(await sweep()).toMatchObject({ interrupted: 2, takenOver: 1 });
      expect(await sweep()).toMatchObject({ interrupted: 0, takenOver: 0 });
    });

    test("takes from a worker that came back what it held in a scope on hold, once that is released", async () => {
      await hold(["w"]);
      const held = await tasks.read("w");
      await manager.hold("w", { namespace });
      await expire("w");
      expect((await sweep()).takenOver, "while it is on hold").toBe(0);
      expect((await store.heartbeat(namespace, tasks.order("w"))).fenced).toEqual(["w"]);
      await manager.release("w", { namespace });
      expect((await tasks.report(held, "complete")).code).toBe("EPOCH_FENCED");
      expect((await sweep()).takenOver).toBe(1);
      expect(await tasks.claimOne("v")).toMatchObject({ id: "w", attempt: 2 });
      await auditDatabase(bench, namespace);
    });
  },
  [direct!],
);

interface Read {
  readonly relname: string;
  readonly rows: string;
}

/** Rows that this transaction has read, table by table. */
const READ = `select relname, (coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0))::text as rows
   from pg_stat_xact_all_tables where schemaname = 'agent_state' order by relname`;
