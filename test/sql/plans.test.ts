import { afterAll, beforeAll, expect, test } from "vitest";
import { describeOnPostgres } from "../support/homes.ts";
import { openBench } from "../support/manager.ts";
import type { Bench } from "../support/manager.ts";

// PL/pgSQL keeps a plan for as long as a connection lives. One that was made when a table was empty would
// read all of it in each call until the table is next analysed: 100,000 creates took minutes instead of seconds.
describeOnPostgres("plans that are kept", (home) => {
  let bench: Bench;
  beforeAll(async () => {
    bench = await openBench(home);
  });
  afterAll(() => bench.close());

  test.each([
    "agent_state_api.commit_batch",
    "agent_state_api.read_feed",
    "agent_state_api.read_relay",
    "agent_state_api.read_scope_states",
    "agent_state_api.foreign_changes",
    "agent_state_api.prune_history",
    "agent_state.document",
    "agent_state_api.push_tasks",
    "agent_state_api.claim_tasks",
    "agent_state_api.report_tasks",
    "agent_state_api.sweep_tasks",
    "agent_state_api.survey_stacks",
    "agent_state_api.heartbeat",
    "agent_state_api.end_leases",
  ])("%s may not read a table from end to end", async (name) => {
    expect(await settingsOf(name)).toContain("enable_seqscan=off");
  });

  // Its limit is unknown to a plan that is kept: a hash of all states, 100,000 of them, cost 25 ms a page.
  test("agent_state_api.read_relay finds the states of its page one by one", async () => {
    const settings = await settingsOf("agent_state_api.read_relay");
    expect(settings).toEqual(
      expect.arrayContaining(["enable_hashjoin=off", "enable_mergejoin=off"]),
    );
  });

  async function settingsOf(name: string): Promise<readonly string[] | null | undefined> {
    const [row] = await bench.sql<{ settings: string[] | null }>(
      `select p.proconfig as settings from pg_proc p join pg_namespace n on n.oid = p.pronamespace
        where n.nspname || '.' || p.proname = $1`,
      [name],
    );
    return row?.settings;
  }
});
