import type { Caller, Operation, Values } from "../caller.ts";
import { boolean, text } from "../rows.ts";
import type { Row } from "../rows.ts";

export const COPY_STANDING = {
  fn: "copy_standing",
  parameters: { position: "text", namespace: "text[]", scope: "text[]", step: "bigint[]" },
  columns: ["lineage", "is_copy", "is_behind", "position"],
  writes: false,
} as const satisfies Operation;

/** What a read on a copy must see. */
export interface Demand {
  /** A position of main's log, `16/B374D848`; null: any. */
  readonly position: string | null;
  readonly scopes: readonly ScopeStep[];
}

/** A scope that is known to have come to a step. */
export interface ScopeStep {
  readonly namespace: string;
  readonly scope: string;
  readonly step: bigint;
}

/** Where a copy of the database stands. */
export interface Standing {
  /** Names the database that it is a copy of. */
  readonly lineage: string;
  /** False: it takes writes, so it follows nobody. */
  readonly isCopy: boolean;
  /** It does not have all that was demanded. */
  readonly isBehind: boolean;
  /** Up to where it has replayed main's log; of main itself, up to where that is on disk. */
  readonly position: string;
}

/** A demand as the function takes it. */
export function demandValues({
  position,
  scopes,
}: Demand): Values<typeof COPY_STANDING.parameters> {
  return {
    position,
    namespace: scopes.map(({ namespace }) => namespace),
    scope: scopes.map(({ scope }) => scope),
    step: scopes.map(({ step }) => step),
  };
}

/** A standing from the function's columns. */
export function standingOf(row: Row): Standing {
  return {
    lineage: text(row, 0),
    isCopy: boolean(row, 1),
    isBehind: boolean(row, 2),
    position: text(row, 3),
  };
}

/** Where a database stands, seen against a demand. */
export async function readStanding(reader: Caller, demand: Demand): Promise<Standing> {
  const [row] = await reader.call(COPY_STANDING, demandValues(demand));
  return standingOf(row!);
}
