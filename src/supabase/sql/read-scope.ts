import type { ChangeRow } from "../../state/ports.ts";
import type { ScopeStatus, Step } from "../../state/state.ts";
import type { ReadPool } from "../read-pool.ts";
import { bigint, boolean, date, digest, text } from "../rows.ts";

/** Where a scope stands; null where it has no step. */
export async function readScope(
  pool: ReadPool,
  namespace: string,
  scope: string,
): Promise<ScopeStatus | null> {
  const [row] = await pool.query(`select step, hold from agent_state_api.read_scope($1, $2)`, [
    namespace,
    scope,
  ]);
  if (row === undefined) return null;
  return {
    namespace,
    scope,
    step: bigint(row, 0),
    rollbackStep: null, // There is no rollback database yet that could hold one.
    hold: boolean(row, 1),
    quarantined: [],
  };
}

/** What one step did, as its commit answered. */
export async function readStep(
  pool: ReadPool,
  key: { readonly namespace: string; readonly scope: string },
  step: Step,
): Promise<(ChangeRow & { id: string })[]> {
  const rows = await pool.query(
    `select id, type, scope, version, step, phase, digest, created, at from agent_state_api.read_step($1, $2, $3)`,
    [key.namespace, key.scope, step.toString()],
  );
  return rows.map((row) => ({
    id: text(row, 0),
    code: null,
    detail: null,
    type: text(row, 1),
    scope: text(row, 2),
    version: bigint(row, 3),
    step: bigint(row, 4),
    phase: row[5] ?? null,
    digest: digest(row, 6),
    created: boolean(row, 7),
    at: date(row, 8),
  }));
}
