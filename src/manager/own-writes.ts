import { applyDelta } from "../state/delta.ts";
import type { Delta } from "../state/delta.ts";
import type { ChangeRow, PreparedChange, PreparedUnit, StateKey } from "../state/ports.ts";
import type { StateSummary } from "../state/state.ts";
import type { Dates, Directory } from "./directory.ts";
import type { Reader } from "./reader.ts";
import type { CachedState, StateCache } from "./state-cache.ts";

/** Documents shorter than this are stored whole: a delta of them saves nothing. */
export const DELTA_FROM_CHARACTERS = 2_048;

export interface OwnWritesOptions {
  readonly cache: StateCache;
  readonly directory: Directory;
  readonly reader: Reader;
}

/** Keeps what this process remembers in step with what it writes. */
export class OwnWrites {
  readonly #options: OwnWritesOptions;

  constructor(options: OwnWritesOptions) {
    this.#options = options;
  }

  /** What was written is what this process reads next, without asking the database. */
  remember(unit: PreparedUnit, rows: readonly ChangeRow[]): void {
    for (let index = 0; index < rows.length; index++) {
      const change = unit.changes[index]!;
      this.#renew({ namespace: unit.namespace, id: change.id }, change, rows[index]!);
    }
  }

  /** The state is at this version at least; what is being read of it may be older. */
  note(key: StateKey, row: ChangeRow): void {
    this.#options.reader.outdate(key);
    this.#options.cache.note(key, row);
  }

  /** It may have been written: no document of its states that is known here is sure. */
  doubt(unit: PreparedUnit): void {
    for (const { id } of unit.changes) {
      const key = { namespace: unit.namespace, id };
      this.#options.reader.outdate(key);
      this.#options.cache.forget(key);
    }
  }

  #renew(key: StateKey, change: PreparedChange, row: ChangeRow): void {
    const { cache, directory, reader } = this.#options;
    reader.outdate(key);
    const dates = directory.follow(key, change, row);
    const known = cache.peek(key);
    const before = known?.head.version === row.version - 1n ? known : undefined;
    if (dates === null || !isKept(change, row, before)) {
      if (known !== undefined && known.head.version < row.version) cache.drop(key);
      return;
    }
    const head = headOf(key, row, dates);
    if (change.op === "update") return cache.putText(head, change.body!);
    const { data, characters } = cache.data(key)!;
    const after = applyDelta(data, JSON.parse(change.body!) as Delta);
    cache.putValue(head, after, characters + change.body!.length);
  }
}

/**
 * Whether the document after a write is kept. One that is written over and over and never read would
 * push out what is read, and each copy of it would last until a full garbage collection.
 */
function isKept(change: PreparedChange, row: ChangeRow, before: CachedState | undefined): boolean {
  if (change.op === "delete") return false;
  if (change.op === "delta") return before !== undefined;
  if (row.created || before?.isRead === true) return true;
  // The next one may be sent as what differs from this.
  return change.body!.length >= DELTA_FROM_CHARACTERS;
}

function headOf(key: StateKey, row: ChangeRow, dates: Dates): StateSummary {
  return {
    namespace: key.namespace,
    id: key.id,
    type: row.type,
    scope: row.scope,
    version: row.version,
    step: row.step,
    phase: row.phase,
    digest: row.digest,
    createdAt: row.created ? row.at : new Date(dates.createdAtMs),
    updatedAt: row.at,
    expiresAt: dates.expiresAt,
  };
}
