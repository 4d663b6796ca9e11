import type { KeyedChangeset } from "./ledger.ts";

/** Keeps the keys of several loads apart, and fills documents up. */
export interface Series {
  readonly name: string;
  /** Bytes that each document is filled up with; default 300. */
  readonly fillBytes?: number | undefined;
}

export function changesetOf(series: Series, writer: number, count: number): KeyedChangeset;
