import type { StateKey, StoredState } from "../../state/ports.ts";
import type { Version } from "../../state/state.ts";
import { textArray } from "../binary-array.ts";
import type { ReadPool } from "../read-pool.ts";
import { storedState } from "../stored-state.ts";

const COLUMNS = `namespace, id, type, scope, version, step, phase, digest, created_at, updated_at, expires_at, deleted, data`;

/** States as they are, in the order of their keys; null where one was never written. */
export async function readStates(
  pool: ReadPool,
  keys: readonly StateKey[],
): Promise<(StoredState | null)[]> {
  const rows = await pool.query(`select ${COLUMNS}, n from agent_state_api.read_states($1, $2)`, [
    textArray(keys.map((key) => key.namespace)),
    textArray(keys.map((key) => key.id)),
  ]);
  const states: (StoredState | null)[] = keys.map(() => null);
  for (const row of rows) states[Number(row[13]) - 1] = storedState(row);
  return states;
}

/** One state as it was at a version; null where history does not hold that. */
export async function readVersion(
  pool: ReadPool,
  key: StateKey,
  version: Version,
): Promise<StoredState | null> {
  const rows = await pool.query(`select ${COLUMNS} from agent_state_api.read_version($1, $2, $3)`, [
    key.namespace,
    key.id,
    version.toString(),
  ]);
  return rows[0] === undefined ? null : storedState(rows[0]);
}

/** One page of a scope's states by id, as they were right after a step. */
export async function readScopeStates(
  pool: ReadPool,
  scope: { readonly namespace: string; readonly scope: string },
  page: { readonly step: bigint | null; readonly after: string | null; readonly limit: number },
): Promise<StoredState[]> {
  const rows = await pool.query(
    `select ${COLUMNS} from agent_state_api.read_scope_states($1, $2, $3, $4, $5)`,
    [scope.namespace, scope.scope, page.step?.toString() ?? null, page.after, page.limit],
  );
  return rows.map(storedState);
}
