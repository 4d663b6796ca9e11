import { AgentRuntimeError } from "./errors.ts";
import type { FeedPosition } from "./ports.ts";
import { quote } from "./quote.ts";

/** Before every change. */
export const FEED_START: FeedPosition = { xid: 0n, scopeNo: 0n, step: 0n, position: 0 };

/** Enough of a lineage to tell two apart. */
const LINEAGE_CHARACTERS = 8;

const CURSOR = /^([0-9a-f]{8})-([0-9a-z]{1,16})-([0-9a-z]{1,16})-([0-9a-z]{1,16})-([0-9a-z]{1,8})$/;

/** Whether the first comes before, at (0) or after the second in the feed. */
export function comparePositions(left: FeedPosition, right: FeedPosition): number {
  return (
    sign(left.xid, right.xid) ||
    sign(left.scopeNo, right.scopeNo) ||
    sign(left.step, right.step) ||
    left.position - right.position
  );
}

/** A position as callers carry it: opaque, and bound to the history it belongs to. */
export function formatCursor(
  lineage: string,
  { xid, scopeNo, step, position }: FeedPosition,
): string {
  const parts = [xid, scopeNo, step, position].map((part) => part.toString(36));
  return [shortLineage(lineage), ...parts].join("-");
}

/** A cursor's position; null where it belongs to another history. "0" is before every change. */
export function parseCursor(lineage: string, cursor: string): FeedPosition | null {
  const { of, at } = checkCursor(cursor);
  return of === null || of === shortLineage(lineage) ? at : null;
}

/**
 * The position of a cursor, and the history that it is of; null: of any.
 *
 * @throws {AgentRuntimeError} INVALID_CURSOR: no service gave it.
 */
export function checkCursor(cursor: unknown): {
  readonly of: string | null;
  readonly at: FeedPosition;
} {
  if (cursor === "0") return { of: null, at: FEED_START };
  const [of, ...parts] =
    (typeof cursor === "string" ? CURSOR.exec(cursor)?.slice(1) : undefined) ?? [];
  const [xid = -1n, scopeNo = -1n, step = -1n, position = -1n] = parts.map(parse36);
  const isGiven = of !== undefined && [xid, scopeNo, step].every((part) => part < 2n ** 63n);
  if (isGiven && position < 2n ** 31n) {
    return { of, at: { xid, scopeNo, step, position: Number(position) } };
  }
  throw new AgentRuntimeError(
    "INVALID_CURSOR",
    `${quote(String(cursor))} is not a cursor. Pass one that came with a change, or "0" for everything that is kept.`,
  );
}

function shortLineage(lineage: string): string {
  return lineage.slice(0, LINEAGE_CHARACTERS);
}

function parse36(text: string): bigint {
  let value = 0n;
  for (const digit of text) value = value * 36n + BigInt(Number.parseInt(digit, 36));
  return value;
}

function sign(left: bigint, right: bigint): number {
  return left < right ? -1 : left > right ? 1 : 0;
}
