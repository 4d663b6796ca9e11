import type { StateKey } from "../../state/ports.ts";
import type { Version } from "../../state/state.ts";
import type { Caller, Operation } from "../caller.ts";
import { bigint, text } from "../rows.ts";

const PRUNE_HISTORY = {
  fn: "prune_history",
  parameters: { before: "timestamptz", limit: "integer" },
  columns: ["prune_history"],
  writes: true,
} as const satisfies Operation;

const EXPIRED_STATES = {
  fn: "expired_states",
  parameters: { limit: "integer" },
  columns: ["namespace", "id", "version"],
  writes: false,
} as const satisfies Operation;

/** Forgets changes from before a moment, a bounded number a call; how many it forgot. */
export async function pruneHistory(reader: Caller, before: Date, limit: number): Promise<number> {
  const [row] = await reader.call(PRUNE_HISTORY, { before, limit });
  return Number(row![0]);
}

/** States whose time has come, with the version to delete them at. */
export async function expiredStates(
  reader: Caller,
  limit: number,
): Promise<(StateKey & { readonly version: Version })[]> {
  const rows = await reader.call(EXPIRED_STATES, { limit });
  return rows.map((row) => ({
    namespace: text(row, 0),
    id: text(row, 1),
    version: bigint(row, 2),
  }));
}
