import type { StoredState } from "../state/ports.ts";
import type { StateSummary } from "../state/state.ts";
import { bigint, boolean, date, digest, optional, text } from "./rows.ts";
import type { Row } from "./rows.ts";

/** The columns that every function which lists states answers. */
export const STATE_SUMMARY = [
  "namespace",
  "id",
  "type",
  "scope",
  "version",
  "step",
  "phase",
  "digest",
  "created_at",
  "updated_at",
  "expires_at",
] as const;

/** The columns that every function which reads states answers. */
export const STORED_STATE = [...STATE_SUMMARY, "deleted", "data"] as const;

/** A state without its document, from the first of those columns. */
export function stateSummary(row: Row): StateSummary {
  return {
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
  };
}

/** A state from those columns. */
export function storedState(row: Row): StoredState {
  return { ...stateSummary(row), deleted: boolean(row, 11), text: row[12] ?? null };
}
