import { AgentRuntimeError } from "./errors.ts";
import type { FeedPosition } from "./ports.ts";

/** Before every change. */
export const FEED_START: FeedPosition = { xid: 0n, scopeNo: 0n, step: 0n, position: 0 };

/** Enough of a lineage to tell two apart. */
const LINEAGE_CHARACTERS = 8;

const CURSOR = /^([0-9a-f]{8})-([0-9a-z]+)-([0-9a-z]+)-([0-9a-z]+)-([0-9a-z]+)$/;

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
  if (cursor === "0") return FEED_START;
  const parts = CURSOR.exec(cursor);
  if (parts === null || cursor.length > 80) {
    throw new AgentRuntimeError(
      "INVALID_CURSOR",
      `"${cursor.slice(0, 80)}" is not a cursor. Pass one that came with a change, or "0" for everything that is kept.`,
    );
  }
  const [, of, xid, scopeNo, step, position] = parts;
  if (of !== shortLineage(lineage)) return null;
  return {
    xid: parse36(xid!),
    scopeNo: parse36(scopeNo!),
    step: parse36(step!),
    position: Number(parse36(position!)),
  };
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
