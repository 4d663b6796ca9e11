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
  /** While this is the directory's: it was the newest version when it came, and every later one was told. */
  era: number;
  /** Of that version; NaN where they are not known. */
  createdAtMs: number;
  expiresAt: Date | null;
  /** How many looks at others' changes had begun when its version was read; a version written here is never told. */
  looks: number;
}

const NO_ERA = -1;
const WRITTEN_HERE = Number.POSITIVE_INFINITY;

/** Where it is remembered what became of states that the directory does not know. */
export interface Remembering {
  /** How many looks at others' changes have begun. */
  readonly looks: number;
  /** Whether others' changes that were there after so many looks had begun are remembered. */
  hasTold(looks: number): boolean;
  /** Something became of the state. */
  touch(name: string): void;
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
  readonly #remembering: Remembering | undefined;
  #era = 0;

  /**
   * @param entries how many states are known at most.
   * @param remembering told of each state that is not known any more, or not for sure, where what was known of it is
   *   not remembered there already.
   */
  constructor(entries = ENTRIES, remembering?: Remembering) {
    this.#remembering = remembering;
    this.#states = new SieveCache({ entries, bytes: entries }, undefined, (name, { looks }) => {
      if (remembering?.hasTold(looks) === false) remembering.touch(name);
    });
  }

  /** The newest version that was seen or written here; undefined where none is known. */
  knownVersion(key: StateKey): Version | undefined {
    return this.#states.peek(nameOf(key.namespace, key.id))?.version;
  }

  /**
   * How a version that was found elsewhere stands to what is known here; "newest": no newer one can be there that
   * this process was told of.
   */
  judge(name: string, version: Version): "older" | "newest" | "unsure" {
    const known = this.#states.peek(name);
    if (known === undefined) return "unsure";
    if (version < known.version) return "older";
    return known.era === this.#era ? "newest" : "unsure";
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
      const looks = WRITTEN_HERE;
      this.#states.set(name, { version, scope, era: this.#era, createdAtMs, expiresAt, looks }, 1);
    } else if (known.version < version) {
      known.version = version;
      known.looks = WRITTEN_HERE;
      known.era = this.#era;
      known.createdAtMs = createdAtMs;
      known.expiresAt = expiresAt;
    } else return null;
    return Number.isNaN(createdAtMs) ? null : { createdAtMs, expiresAt };
  }

  /**
   * The state exists, in this scope, and is at this version at least; with its dates, it was the newest.
   *
   * @returns the newest version that is known of it.
   */
  note(
    key: StateKey,
    seen: { readonly version: Version; readonly scope: string },
    dates: Dates = UNKNOWN,
    isNewest = dates !== UNKNOWN,
  ): Version {
    const name = nameOf(key.namespace, key.id);
    const known = this.#states.get(name);
    const era = isNewest ? this.#era : NO_ERA;
    const looks = isNewest ? this.#looks : WRITTEN_HERE;
    if (known === undefined) {
      const { version, scope } = seen;
      const { createdAtMs, expiresAt } = dates;
      this.#states.set(name, { version, scope, era, createdAtMs, expiresAt, looks }, 1);
      return version;
    }
    if (isNewest && seen.version >= known.version) known.era = era;
    raise(known, { version: seen.version, looks }, dates);
    return known.version;
  }

  /** What was seen of it was confused. */
  forget(key: StateKey): void {
    const name = nameOf(key.namespace, key.id);
    this.#states.delete(name);
    this.#remembering?.touch(name);
  }

  /** It may have changed. */
  doubt(key: StateKey): void {
    const name = nameOf(key.namespace, key.id);
    const known = this.#states.peek(name);
    if (known !== undefined) known.era = NO_ERA;
    this.#remembering?.touch(name);
  }

  /** Any of them may have changed. */
  doubtAll(): void {
    this.#era++;
  }

  /** The state is at this version at least; of one that is not known here, nothing is kept. */
  raise(key: StateKey, version: Version): void {
    const known = this.#states.peek(nameOf(key.namespace, key.id));
    if (known !== undefined) raise(known, { version, looks: this.#looks }, UNKNOWN);
  }

  get #looks(): number {
    return this.#remembering?.looks ?? 0;
  }
}

function expiryAfter(wish: PreparedChange["expiresAt"], past: Dates | null): Date | null {
  if (wish === null) return past?.expiresAt ?? null;
  return wish === "never" ? null : wish;
}

function raise(known: Known, to: Pick<Known, "version" | "looks">, dates: Dates): void {
  const { version } = to;
  if (version < known.version || (version === known.version && dates === UNKNOWN)) return;
  if (version > known.version) {
    known.version = version;
    known.looks = to.looks;
  }
  // What is there already is not written again: the collector looks at every old object that was.
  if (known.createdAtMs !== dates.createdAtMs) known.createdAtMs = dates.createdAtMs;
  if (known.expiresAt !== dates.expiresAt) known.expiresAt = dates.expiresAt;
}
