import type { Version } from "./state.ts";

/** A state as a shared cache holds it. */
export interface SharedEntry {
  readonly version: Version;
  /** What the transactions below this one did is in it. */
  readonly settled: number;
  /** The state with its document. */
  readonly text: string;
}

/**
 * A cache that several processes share. It may lose anything, answer what is long outdated, or not answer at all: a
 * reader judges each entry by its version and by what is settled in it, and no trouble of it is ever an error.
 */
export interface SharedCache {
  /** How long an entry is kept at most, in milliseconds. */
  readonly ttlMs: number;
  /** The longest text that is kept. */
  readonly entryBytes: number;
  /** What it has under these keys, in their order; undefined where there is nothing, or no answer. */
  get(keys: readonly string[]): Promise<(SharedEntry | undefined)[]>;
  /** Keeps an entry for so long, unless a newer one is there. Nobody waits for it, and it may be left undone. */
  put(key: string, entry: SharedEntry, ttlMs: number): void;
  /** Why nothing is asked of it now; null: it serves. */
  readonly trouble: string | null;
  /** Calls that failed or took too long. */
  readonly errors: number;
  close(): Promise<void>;
}
