import { SieveCache } from "../service/sieve-cache.ts";
import type { Cached } from "../service/sieve-cache.ts";
import type { StateKey } from "../state/ports.ts";
import type { Version } from "../state/state.ts";
import { nameOf } from "./state-name.ts";

/** States that are known at once: some 250 bytes each. */
const ENTRIES = 200_000;

/** What a write of a living state leaves as it is, unless it says otherwise. */
export interface Dates {
  readonly createdAtMs: number;
  readonly expiresAt: Date | null;
}

interface Known extends Cached {
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

  /** The dates that a state has at this version; null where they are not known. */
  datesAt(key: StateKey, version: Version): Dates | null {
    const known = this.#states.peek(nameOf(key.namespace, key.id));
    if (known?.version !== version || Number.isNaN(known.createdAtMs)) return null;
    return known;
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
      this.#states.set(name, { version, scope, createdAtMs, expiresAt, bytes: 1, used: false });
    } else raise(known, seen.version, dates);
  }

  /** The state is at this version at least; of one that is not known here, nothing is kept. */
  raise(key: StateKey, version: Version): void {
    const known = this.#states.peek(nameOf(key.namespace, key.id));
    if (known !== undefined) raise(known, version, UNKNOWN);
  }
}

function raise(known: Known, version: Version, dates: Dates): void {
  if (version < known.version || (version === known.version && dates === UNKNOWN)) return;
  known.version = version;
  known.createdAtMs = dates.createdAtMs;
  known.expiresAt = dates.expiresAt;
}
