import { systemClock } from "../service/clock.ts";
import type { CacheFigures } from "../service/metrics.ts";
import { SieveCache } from "../service/sieve-cache.ts";
import type { CacheBounds } from "../service/sieve-cache.ts";
import type { Json } from "../state/json.ts";
import { deepFreeze, parseFrozen } from "../state/json-check.ts";
import type { StateKey, StoredState } from "../state/ports.ts";
import type { State, StateSummary, Version } from "../state/state.ts";
import type { Dates, Directory } from "./directory.ts";
import { nameOf } from "./state-name.ts";

/** Bytes that an entry costs beside its document. */
const ENTRY_BYTES = 400;

/** A living state in memory. */
export interface CachedState {
  /** Everything but the document; the state itself from the first look on. */
  head: StateSummary;
  /** The document's text until somebody looks at it. */
  text: string | null;
  /** The state with its document, frozen; from the first look on. */
  state: State | null;
  /** Whether its document was asked for, or put together, since this version came. */
  isRead: boolean;
  readonly bytes: number;
}

/** A document that is at hand. */
export interface KnownData {
  readonly type: string;
  readonly version: Version;
  readonly data: Json;
  /** About as long as its text. */
  readonly characters: number;
}

/** Documents of states in this process (L1): none is older than what the directory knows. */
export class StateCache {
  readonly #entries: SieveCache<string, CachedState>;
  /**
   * What readers await of those that were looked at of late and never expire. A read that finds its
   * answer here touches nothing else: each object more, far apart in memory, was measured to cost it a
   * third of its time.
   */
  readonly #answers = new Map<string, Promise<State>>();
  readonly #directory: Directory;
  #answered = 0;

  constructor(bounds: CacheBounds, directory: Directory) {
    this.#entries = new SieveCache(bounds, this.#answers);
    this.#directory = directory;
  }

  get figures(): CacheFigures {
    const { hits, misses, size, bytes } = this.#entries;
    return { hits: hits + this.#answered, misses, size, bytes };
  }

  /** The state as readers await it, of this version at least; undefined where it is not here. */
  answer(namespace: string, id: string, leastVersion?: Version): Promise<State> | undefined {
    const name = nameOf(namespace, id);
    if (leastVersion === undefined) {
      const answer = this.#answers.get(name);
      if (answer !== undefined) {
        this.#answered++;
        return answer;
      }
    }
    const entry = this.#entries.get(name);
    if (entry === undefined || isExpired(entry.head)) return undefined;
    if (leastVersion !== undefined && entry.head.version < leastVersion) return undefined;
    entry.isRead = true;
    const answer = Promise.resolve(materialize(entry));
    if (entry.head.expiresAt === null) this.#answers.set(name, answer);
    return answer;
  }

  /** Without counting as a look. */
  peek(key: StateKey): CachedState | undefined {
    return this.#entries.peek(nameOf(key.namespace, key.id));
  }

  /** Keeps what the database answered to a reader, unless something newer is known. */
  put(stored: StoredState): void {
    const { text, deleted } = stored;
    if (deleted || text === null) {
      this.#directory.note(stored, stored, undefined, true);
      this.#dropBefore(stored, stored.version);
    } else this.putText(summaryOf(stored), text, true);
  }

  /** Keeps a state whose document is at hand as text. */
  putText(head: StateSummary, text: string, isRead = false): void {
    const bytes = ENTRY_BYTES + 2 * text.length;
    this.#keep({ head, text, state: null, isRead, bytes });
  }

  /** Keeps a state whose document is at hand as a value. */
  putValue(head: StateSummary, data: Json, characters: number): void {
    const state = stateOf(head, deepFreeze(data));
    const bytes = ENTRY_BYTES + 2 * characters;
    this.#keep({ head: state, text: null, state, isRead: true, bytes });
  }

  /** The document of a state and what it is of, where it is at hand. */
  data(key: StateKey): KnownData | undefined {
    const entry = this.peek(key);
    if (entry === undefined) return undefined;
    entry.isRead = true;
    const { type, version, data } = materialize(entry);
    return { type, version, data, characters: (entry.bytes - ENTRY_BYTES) / 2 };
  }

  /** The state exists, in this scope, and is at this version at least. */
  note(key: StateKey, seen: { readonly version: Version; readonly scope: string }): void {
    this.#directory.note(key, seen);
    this.#dropBefore(key, seen.version);
  }

  /** The state, if it is known here, is at this version at least. */
  outdate(key: StateKey, version: Version): void {
    this.#directory.raise(key, version);
    this.#dropBefore(key, version);
  }

  /** The document may be out of date, whatever its version says. */
  forget(key: StateKey): void {
    this.#directory.doubt(key);
    this.drop(key);
  }

  /** The document is not worth keeping. */
  drop(key: StateKey): void {
    const name = nameOf(key.namespace, key.id);
    this.#answers.delete(name);
    this.#entries.delete(name);
  }

  /** What is known of each state whose head is here. */
  *heads(): Generator<StateSummary, undefined> {
    for (const { head } of this.#entries.values()) yield head;
  }

  /** All documents may be out of date. */
  clear(): void {
    this.#directory.doubtAll();
    this.#answers.clear();
    this.#entries.clear();
  }

  #dropBefore(key: StateKey, version: Version): void {
    const entry = this.peek(key);
    if (entry !== undefined && entry.head.version < version) this.drop(key);
  }

  #keep(entry: CachedState): void {
    const { head } = entry;
    const newest = this.#directory.note(head, head, datesOf(head));
    if (head.version < newest) return;
    const name = nameOf(head.namespace, head.id);
    const known = this.#entries.peek(name);
    if (known !== undefined) {
      if (known.head.version === head.version && known.state !== null) return;
      this.#answers.delete(name);
    }
    this.#entries.set(name, entry, entry.bytes);
  }
}

function datesOf(head: StateSummary): Dates {
  return { createdAtMs: head.createdAt.getTime(), expiresAt: head.expiresAt };
}

/** Whether a state's time is over. */
export function isExpired(state: { readonly expiresAt: Date | null }): boolean {
  return state.expiresAt !== null && state.expiresAt.getTime() <= systemClock.now();
}

/** The state of an entry, its document parsed at the first look. */
function materialize(entry: CachedState): State {
  if (entry.state !== null) return entry.state;
  const state = stateOf(entry.head, parseFrozen(entry.text!));
  entry.state = state;
  entry.head = state;
  entry.text = null;
  return state;
}

/** A stored state as callers see it. */
export function stateFrom(stored: StoredState): State {
  const { text } = stored;
  return stateOf(stored, text === null ? null : parseFrozen(text));
}

// Field by field, in both: spread and rest give objects that V8 fills one property at a time.

function stateOf(head: StateSummary, data: Json): State {
  return Object.freeze({
    namespace: head.namespace,
    id: head.id,
    type: head.type,
    scope: head.scope,
    version: head.version,
    step: head.step,
    phase: head.phase,
    data,
    digest: head.digest,
    createdAt: head.createdAt,
    updatedAt: head.updatedAt,
    expiresAt: head.expiresAt,
  });
}

function summaryOf(stored: StoredState): StateSummary {
  return {
    namespace: stored.namespace,
    id: stored.id,
    type: stored.type,
    scope: stored.scope,
    version: stored.version,
    step: stored.step,
    phase: stored.phase,
    digest: stored.digest,
    createdAt: stored.createdAt,
    updatedAt: stored.updatedAt,
    expiresAt: stored.expiresAt,
  };
}
