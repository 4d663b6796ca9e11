import { afterAll, beforeAll, expect, test } from "vitest";
import type { StateManager } from "../../src/manager/state-manager.ts";
import type { Task } from "../../src/state/task.ts";
import { describeOnPostgres } from "../support/homes.ts";
import { openBench } from "../support/manager.ts";
import type { Bench } from "../support/manager.ts";
import { LONG_MS, pushOf, Tasks } from "../support/tasks.ts";

describeOnPostgres("tasks in the index of phases", (home) => {
  let bench: Bench;
  let manager: StateManager;
  let tasks: Tasks;

  beforeAll(async () => {
    bench = await openBench(home);
    manager = bench.openManager();
    tasks = new Tasks(bench.openStore().tasks, "default");
  });

  afterAll(() => bench.close());

  async function listed(phase: string, more: { type?: string } = {}): Promise<string[]> {
    const { items } = await manager.list({ phase, ...more });
    return items.map(({ id }) => id);
  }

  test("are found by each phase they are in, whether they were pushed or written as states", async () => {
    await tasks.push(
      ...["a", "b", "c", "d"].map((id) => ({ ...pushOf(id), stack: `stack-${id}` })),
      { ...pushOf("later"), stack: "stack-a", delayMs: LONG_MS },
    );
    await manager.updateState("plain", "task", {}, { phase: "ready" });
    const held: Task[] = [];
    for (const id of ["a", "b", "c"])
      held.push(await tasks.claimOne("w", { stacks: [`stack-${id}`] }));
    await tasks.report(held[0]!, "complete", { body: 1 });
    await tasks.report(held[1]!, "fail", { body: { error: "no", retryAfterMs: LONG_MS } });
    const found = async (more: { type?: string } = {}): Promise<string[][]> =>
      await Promise.all(
        ["ready", "working", "completed", "submitted"].map((phase) => listed(phase, more)),
      );
    const meant = [["b", "d", "plain"], ["c"], ["a"], ["later"]];
    expect(await found({ type: "task" })).toEqual(meant);
    expect(await found()).toEqual(meant);
    await manager.mergeState("plain", {}, { phase: "working" });
    expect(await listed("working", { type: "task" })).toEqual(["c", "plain"]);
    await manager.mergeState("d", {}, { phase: "working" });
    expect(await listed("working", { type: "task" }), "held by nobody").toEqual([
      "c",
      "d",
      "plain",
    ]);
  });

  // Where one index takes a new entry all five do: a quarter of what a task costs.
  test("are claimed and completed without a new entry in any index of states", async () => {
    await tasks.push({ ...pushOf("hot"), stack: "stack-hot" });
    const client = await bench.connect();
    // What a session's transactions did, until its figures are told the server.
    const moved = async (statement: string): Promise<number> => {
      await client.query("begin");
      await client.query(statement);
      const { rows } = await client.query<{ updated: number; hot: number }>(
        `select pg_stat_get_xact_tuples_updated(c)::integer as updated, pg_stat_get_xact_tuples_hot_updated(c)::integer as hot
           from (select 'agent_state.states'::regclass as c) c`,
      );
      await client.query("commit");
      const { updated, hot } = rows[0]!;
      expect(updated).toBeGreaterThan(0);
      return updated - hot;
    };
    const claim = `select * from agent_state_api.claim_tasks('default', 'w', '1', ${LONG_MS}, '{stack-hot}', '{}', 1)`;
    const complete = `select * from agent_state_api.report_tasks('default', '{hot}', '{1}', '{complete}', array['1'::json], array[null::json], 'w', 'w',
      '1', ${LONG_MS}, '{}', '{}', 0)`;
    expect(await moved(claim)).toBe(0);
    expect(await moved(complete)).toBe(0);
    expect(await listed("completed", { type: "task" })).toContain("hot");
    await client.end();
  });
});
