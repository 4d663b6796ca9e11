import type { FeedPosition, FeedRow } from "../../state/ports.ts";
import type { Values } from "../caller.ts";
import { changeKind } from "../change-kind.ts";
import { bigint, date, digest, text } from "../rows.ts";
import type { Row } from "../rows.ts";

/** Parameters that say where in the feed. */
export const POSITION = {
  xid: "bigint",
  scope_no: "bigint",
  step: "bigint",
  position: "integer",
} as const;

/** What a row of the feed has; its place first. */
export const FEED_COLUMNS = [
  "feed_xid",
  "scope_no",
  "step",
  "position",
  "state_no",
  "namespace",
  "scope",
  "id",
  "type",
  "version",
  "kind",
  "stored",
  "phase",
  "cause",
  "actor",
  "digest",
  "at",
  "body",
] as const;

export function positionParts({
  xid,
  scopeNo,
  step,
  position,
}: FeedPosition): Values<typeof POSITION> {
  return { xid, scope_no: scopeNo, step, position };
}

/** The place in the first four columns. */
export function positionOf(row: Row): FeedPosition {
  return {
    xid: bigint(row, 0),
    scopeNo: bigint(row, 1),
    step: bigint(row, 2),
    position: Number(row[3]),
  };
}

/** A change, from the columns of the feed, after which the relay has its trace. */
export function feedRow(row: Row): FeedRow {
  return {
    at: positionOf(row),
    stateNo: bigint(row, 4),
    namespace: text(row, 5),
    scope: text(row, 6),
    id: text(row, 7),
    type: text(row, 8),
    step: bigint(row, 2),
    version: bigint(row, 9),
    kind: changeKind(text(row, 10)),
    stored: text(row, 11) === "f" ? "full" : "delta",
    phase: row[12] ?? null,
    cause: row[13] ?? null,
    actor: row[14] ?? null,
    digest: digest(row, 15),
    committedAt: date(row, 16),
    body: row[17] ?? null,
    traceparent: row[18] ?? null,
  };
}
