import type { StateKey } from "../../state/ports.ts";
import type { HistoryEntry, Version } from "../../state/state.ts";
import { changeKind } from "../change-kind.ts";
import type { ReadPool } from "../read-pool.ts";
import { bigint, date, digest, text } from "../rows.ts";

/** One page of a state's history, newest first. */
export async function readHistory(
  pool: ReadPool,
  key: StateKey,
  page: { readonly before: Version | null; readonly limit: number },
): Promise<HistoryEntry[]> {
  const rows = await pool.query(
    `select version, step, kind, phase, actor, cause, idempotency_key, digest, at, stored, stored_bytes
       from agent_state_api.read_history($1, $2, $3, $4)`,
    [key.namespace, key.id, page.before?.toString() ?? null, page.limit],
  );
  return rows.map((row) => ({
    version: bigint(row, 0),
    step: bigint(row, 1),
    kind: changeKind(text(row, 2)),
    phase: row[3] ?? null,
    actor: row[4] ?? null,
    cause: row[5] ?? null,
    idempotencyKey: row[6] ?? null,
    digest: digest(row, 7),
    at: date(row, 8),
    stored: text(row, 9) === "f" ? "full" : "delta",
    storedBytes: Number(row[10]),
  }));
}
