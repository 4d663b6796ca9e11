import type { ListOptions } from "../../state/request.ts";
import type { StateSummary } from "../../state/state.ts";
import type { ReadPool } from "../read-pool.ts";
import { bigint, date, digest, optional, text } from "../rows.ts";

/** One page of a namespace's living states by id, without their documents. */
export async function listStates(
  pool: ReadPool,
  options: ListOptions & { readonly namespace: string; readonly limit: number },
): Promise<StateSummary[]> {
  const { namespace, type, scope, phase, idPrefix, after, limit } = options;
  const rows = await pool.query(
    `select namespace, id, type, scope, version, step, phase, digest, created_at, updated_at, expires_at
       from agent_state_api.list_states($1, $2, $3, $4, $5, $6, $7)`,
    [namespace, type ?? null, scope ?? null, phase ?? null, idPrefix ?? null, after ?? null, limit],
  );
  return rows.map((row) => ({
    namespace: text(row, 0),
    id: text(row, 1),
    type: text(row, 2),
    scope: text(row, 3),
    version: bigint(row, 4),
    step: bigint(row, 5),
    phase: row[6] ?? null,
    digest: digest(row, 7),
    createdAt: date(row, 8),
    updatedAt: date(row, 9),
    expiresAt: optional(row, 10, date),
  }));
}
