import type { StateKey } from "../../state/ports.ts";
import type { Version } from "../../state/state.ts";
import type { ReadPool } from "../read-pool.ts";
import { bigint, text } from "../rows.ts";

/** Forgets changes from before a moment, a bounded number a call; how many it forgot. */
export async function pruneHistory(pool: ReadPool, before: Date, limit: number): Promise<number> {
  const [row] = await pool.query(`select agent_state_api.prune_history($1, $2)`, [before, limit]);
  return Number(row![0]);
}

/** States whose time has come, with the version to delete them at. */
export async function expiredStates(
  pool: ReadPool,
  limit: number,
): Promise<(StateKey & { readonly version: Version })[]> {
  const rows = await pool.query(
    `select namespace, id, version from agent_state_api.expired_states($1)`,
    [limit],
  );
  return rows.map((row) => ({
    namespace: text(row, 0),
    id: text(row, 1),
    version: bigint(row, 2),
  }));
}
