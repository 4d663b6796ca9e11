import { afterAll, beforeAll, expect, test } from "vitest";
import { describeOnHomes } from "../support/homes.ts";
import { openPair } from "../support/rollback.ts";
import type { Pair } from "../support/rollback.ts";

// The follower keeps one connection for as long as it lives, and with it plans that were made when nothing was copied
// yet. One that reads whole tables would make the first copy of a large main take the square of its size.
describeOnHomes("plans of the follower that are kept", (home) => {
  let pair: Pair;
  beforeAll(async () => {
    pair = await openPair(home);
  });
  afterAll(() => pair.close());

  test.each([
    "agent_state_api.follow",
    "agent_state_api.fill_copies",
    "agent_state.finish_copy",
    "agent_state.is_proven",
    "agent_state.make_scopes",
    "agent_state.make_states",
    "agent_state.trim_copies",
  ])("%s may neither read a table from end to end nor hash it", async (name) => {
    const [row] = await pair.rollback.sql<{ settings: string[] | null }>(
      `select p.proconfig as settings from pg_proc p join pg_namespace n on n.oid = p.pronamespace
        where n.nspname || '.' || p.proname = $1`,
      [name],
    );
    const off = ["enable_seqscan=off", "enable_hashjoin=off", "enable_mergejoin=off"];
    expect(row?.settings).toEqual(expect.arrayContaining(off));
  });
});
