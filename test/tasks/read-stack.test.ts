import { afterAll, beforeAll, expect, test } from "vitest";
import { describeOnHomes, testHomes } from "../support/homes.ts";
import { openBench } from "../support/manager.ts";
import type { Bench } from "../support/manager.ts";
import { LONG_MS, pushOf, Tasks } from "../support/tasks.ts";
import type { TaskStore } from "../../src/state/task-port.ts";

const ENDED = 20_000;
const namespace = "read";

// What is proven is in the function; ways to it do not matter.
const [direct] = testHomes();

describeOnHomes(
  "a stack",
  (home) => {
    let bench: Bench;
    let store: TaskStore;
    let tasks: Tasks;

    beforeAll(async () => {
      bench = await openBench(home);
      ({ tasks: store } = bench.openStore());
      tasks = new Tasks(store, namespace);
    });

    afterAll(() => bench.close());

    test("is read in its order, whatever its tasks do: held, waiting, late, and those that ended not at all", async () => {
      const retry = { maxAttempts: 2, backoffMs: LONG_MS, maxBackoffMs: LONG_MS };
      await tasks.push(
        pushOf("low", { priority: -1 }),
        pushOf("ready"),
        ...["done", "child", "event", "person", "failed"].map((id) => pushOf(id, { retry })),
        pushOf("late", { delayMs: LONG_MS, priority: 9 }),
      );
      const reports = {
        failed: ["fail", { error: "no" }],
        person: ["wait", { for: "input" }],
        event: ["wait", { for: "event", name: "e" }],
        child: ["wait", { for: "timer", ms: LONG_MS }],
        done: ["complete", 1],
      } as const;
      for (const [id, [report, body]] of Object.entries(reports)) {
        const task = await tasks.claimOne("w");
        expect(task.id).toBe(id);
        await tasks.report(task, report, { body });
      }
      const held = await tasks.claimOne("w");
      await tasks.push(pushOf("top"));
      expect(await tasks.stack()).toEqual([
        "ready working",
        "top ready",
        "failed ready",
        "person input_required",
        "event waiting",
        "child waiting",
        "low ready",
        "late submitted",
      ]);
      expect((await store.stack(namespace, "s", 3)).map(({ id }) => id)).toEqual([
        "ready",
        "top",
        "failed",
      ]);
      await tasks.report(held, "checkpoint");
      expect(await tasks.stack()).toEqual([
        "top ready",
        "failed ready",
        "person input_required",
        "event waiting",
        "child waiting",
        "ready suspended",
        "low ready",
        "late submitted",
      ]);
    });

    test("says who works on what, and since when", async () => {
      const task = await tasks.claimOne("v");
      await tasks.report(task, "checkpoint", { resume: 1 });
      const [claimed] = await bench.sql<{ at: Date }>(
        `select c.at from agent_state.changes c join agent_state.states s using (state_no)
          where s.namespace = $1 and s.id = $2 and c.phase = 'working' order by c.version limit 1`,
        [namespace, task.id],
      );
      const [first, second] = await store.stack(namespace, "s", 2);
      expect(first!.lease).toMatchObject({ worker: "v", since: claimed!.at });
      expect(second!.lease).toBeNull();
      expect((await tasks.read(task.id)).lease).toEqual(first!.lease);
      expect(
        await bench.sql("select from agent_state.tasks where worker_no is not null"),
      ).toHaveLength(1);
    });

    test("is read without a look at what ended in it, however much", async () => {
      const client = await bench.connect();
      await client.query("begin");
      await client.query("set local session_replication_role = replica"); // as if they had come to their end
      await client.query(
        `with copied as (
           insert into agent_state.states (state_no, scope_no, version, step, base_version, created_at, updated_at, full_bytes, deleted,
                                           namespace, id, type, scope, phase, digest, feed_xid)
           overriding system value
           select 1000000 + g, s.scope_no, s.version, s.step, s.base_version, s.created_at, s.updated_at, s.full_bytes, false,
                  s.namespace, 'done.' || g, s.type, s.scope, s.phase, s.digest, s.feed_xid
             from agent_state.states s, generate_series(1, $2::int) g where s.namespace = $1 and s.id = 'done' returning state_no)
         insert into agent_state.tasks (task_no, stack_no, seq, ended_at, priority, depth, max_attempts, backoff_ms, max_backoff_ms, preempt, phase, kind)
         select c.state_no, t.stack_no, t.seq, t.ended_at, t.priority, t.depth, 1, 0, 0, t.preempt, t.phase, t.kind
           from copied c, agent_state.tasks t join agent_state.states s on s.state_no = t.task_no where s.namespace = $1 and s.id = 'done'`,
        [namespace, ENDED],
      );
      const { rows: before } = await client.query<Read>(READ);
      const { rows } = await client.query(
        "select * from agent_state_api.read_stack($1, 's', 100)",
        [namespace],
      );
      const { rows: after } = await client.query<Read>(READ);
      await client.query("rollback");
      await client.end();
      expect(rows).toHaveLength(8);
      expect(Number(after[0]!.rows) - Number(before[0]!.rows)).toBeLessThan(200);
    });
  },
  [direct!],
);

interface Read {
  readonly rows: string;
}

/** Rows that this transaction has read. */
const READ = `select sum(coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0))::text as rows
   from pg_stat_xact_all_tables where schemaname = 'agent_state'`;
