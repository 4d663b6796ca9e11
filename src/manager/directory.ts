import { SieveCache } from "../service/sieve-cache.ts";
import type { ChangeRow, PreparedChange, StateKey } from "../state/ports.ts";
import type { Version } from "../state/state.ts";
import { nameOf } from "./state-name.ts";

/** States that are known at once: some 250 bytes each. */
const ENTRIES = 200_000;

/** What a write of a living state leaves as it is, unless it says otherwise. */
export interface Dates {
  readonly createdAtMs: number;
  readonly expiresAt: Date | null;
}

interface Known {
  version: Version;
  readonly scope: string;
  /** Of that version; NaN where they are not known. */
  createdAtMs: number;
  expiresAt: Date | null;
}

const UNKNOWN: Dates = { createdAtMs: Number.NaN, expiresAt: null };

/**
 * What this process knows of states beside their documents: that they exist, in which scope, and at
 * which version at least.
 *
 * An entry is small, so this reaches further than the cache of documents. None is ever wrong: a
 * version never goes back, and a state keeps its scope for life.
 */
export class Directory {
  readonly #states: SieveCache<string, Known>;

  /** @param entries how many states are known at most. */
  constructor(entries = ENTRIES) {
    this.#states = new SieveCache({ entries, bytes: entries });
  }

  /** The newest version that was seen or written here; undefined where none is known. */
  knownVersion(key: StateKey): Version | undefined {
    return this.#states.peek(nameOf(key.namespace, key.id))?.version;
  }

  /** The scope of a state; undefined where it is not known. */
  scopeOf(key: StateKey): string | undefined {
    return this.#states.get(nameOf(key.namespace, key.id))?.scope;
  }

  /** A write brought the state to this version; its dates, where they are known. */
  follow(key: StateKey, change: PreparedChange, row: ChangeRow): Dates | null {
    const name = nameOf(key.namespace, key.id);
    const known = this.#states.get(name);
    const { version, scope } = row;
    // Of an older version nothing is taken over: another process may have changed what this write left alone.
    const past = !row.created && known?.version === version - 1n ? known : null;
    const createdAtMs = row.created ? row.at.getTime() : (past?.createdAtMs ?? Number.NaN);
    const expiresAt = expiryAfter(change.expiresAt, past);
    if (known === undefined) {
      this.#states.set(name, { version, scope, createdAtMs, expiresAt }, 1);
    } else if (known.version < version) {
      known.version = version;
      known.createdAtMs = createdAtMs;
      known.expiresAt = expiresAt;
    } else return null;
    return Number.isNaN(createdAtMs) ? null : { createdAtMs, expiresAt };
  }

  /** The state exists, in this scope, and is at this version at least; its dates, where they are known. */
  note(
    key: StateKey,
    seen: { readonly version: Version; readonly scope: string },
    dates: Dates = UNKNOWN,
  ): void {
    const name = nameOf(key.namespace, key.id);
    const known = this.#states.get(name);
    if (known === undefined) {
      const { version, scope } = seen;
      const { createdAtMs, expiresAt } = dates;
      this.#states.set(name, { version, scope, createdAtMs, expiresAt }, 1);
    } else raise(known, seen.version, dates);
  }

  /** What was seen of it was confused. */
  forget(key: StateKey): void {
    this.#states.delete(nameOf(key.namespace, key.id));
  }

  /** The state is at this version at least; of one that is not known here, nothing is kept. */
  raise(key: StateKey, version: Version): void {
    const known = this.#states.peek(nameOf(key.namespace, key.id));
    if (known !== undefined) raise(known, version, UNKNOWN);
  }
}

function expiryAfter(wish: PreparedChange["expiresAt"], past: Dates | null): Date | null {
  if (wish === null) return past?.expiresAt ?? null;
  return wish === "never" ? null : wish;
}

function raise(known: Known, version: Version, dates: Dates): void {
  if (version < known.version || (version === known.version && dates === UNKNOWN)) return;
  known.version = version;
  known.createdAtMs = dates.createdAtMs;
  known.expiresAt = dates.expiresAt;
}
