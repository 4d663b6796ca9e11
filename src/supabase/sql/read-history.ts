import type { StateKey } from "../../state/ports.ts";
import type { HistoryEntry, Version } from "../../state/state.ts";
import { changeKind } from "../change-kind.ts";
import type { Caller, Operation } from "../caller.ts";
import { bigint, date, digest, text } from "../rows.ts";

const READ_HISTORY = {
  fn: "read_history",
  parameters: { namespace: "text", id: "text", before: "bigint", limit: "integer" },
  columns: [
    "version",
    "step",
    "kind",
    "phase",
    "actor",
    "cause",
    "idempotency_key",
    "digest",
    "at",
    "stored",
    "stored_bytes",
  ],
  writes: false,
} as const satisfies Operation;

/** One page of a state's history, newest first. */
export async function readHistory(
  reader: Caller,
  key: StateKey,
  page: { readonly before: Version | null; readonly limit: number },
): Promise<HistoryEntry[]> {
  const { namespace, id } = key;
  const rows = await reader.call(READ_HISTORY, { namespace, id, ...page });
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
