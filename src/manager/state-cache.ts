import type { CacheFigures } from "../service/metrics.ts";
import { SieveCache } from "../service/sieve-cache.ts";
import type { CacheBounds } from "../service/sieve-cache.ts";
import type { Json } from "../state/json.ts";
import { deepFreeze, parseFrozen } from "../state/json-check.ts";
import type { StateKey, StoredState } from "../state/ports.ts";
import type { State, Version } from "../state/state.ts";

/** Bytes that an entry costs beside its document. */
const ENTRY_BYTES = 400;

/** A state in memory, or only the knowledge that anything older than `version` is out of date. */
export interface CachedState {
  readonly version: Version;
  readonly scope: string | null;
  readonly deleted: boolean;
  /** Everything but the document; null where only the version is known. */
  readonly head: Omit<StoredState, "text"> | null;
  /** The document's text until somebody looks at it. */
  text: string | null;
  /** The state with its document, frozen, from the first look on. */
  state: State | null;
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

const BARE = { deleted: false, head: null, text: null, state: null, bytes: ENTRY_BYTES };

/** States in this process (L1), never replaced by an older version. */
export class StateCache {
  readonly #entries: SieveCache<string, CachedState>;

  constructor(bounds: CacheBounds) {
    this.#entries = new SieveCache(bounds);
  }

  get figures(): CacheFigures {
    const { hits, misses, size, bytes } = this.#entries;
    return { hits, misses, size, bytes };
  }

  get(namespace: string, id: string): CachedState | undefined {
    return this.#entries.get(cacheKey(namespace, id));
  }

  /** Without counting as a look. */
  peek(key: StateKey): CachedState | undefined {
    return this.#entries.peek(cacheKey(key.namespace, key.id));
  }

  /** Keeps what the database answered, or what a write made, unless something newer is known. */
  put(stored: StoredState): CachedState {
    const { text, ...head } = stored;
    return this.#keep(head, {
      version: stored.version,
      scope: stored.scope,
      deleted: stored.deleted,
      head,
      text,
      state: null,
      bytes: ENTRY_BYTES + 2 * (text?.length ?? 0),
    });
  }

  /** Keeps a state whose document is at hand as a value. */
  putValue(head: Omit<StoredState, "text">, data: Json, dataBytes: number): CachedState {
    return this.#keep(head, {
      version: head.version,
      scope: head.scope,
      deleted: false,
      head,
      text: null,
      state: stateOf(head, deepFreeze(data)),
      bytes: ENTRY_BYTES + 2 * dataBytes,
    });
  }

  /** The document of a state and what it is of, where it is at hand. */
  data(key: StateKey): KnownData | undefined {
    const entry = this.peek(key);
    if (entry === undefined || entry.head === null) return undefined;
    const state = materialize(entry);
    if (state === null) return undefined;
    const { type, version, data } = state;
    return { type, version, data, characters: (entry.bytes - ENTRY_BYTES) / 2 };
  }

  /** Everything older than this version is out of date, if the state is here at all. */
  outdate(key: StateKey, version: Version): void {
    const known = this.peek(key);
    if (known !== undefined) this.note(key, version, known.scope);
  }

  /** The state exists, and is at this version at least. */
  note(key: StateKey, version: Version, scope: string | null): void {
    const known = this.peek(key);
    if (known !== undefined && known.version >= version) return;
    const entry = { ...BARE, version, scope };
    this.#entries.set(cacheKey(key.namespace, key.id), entry, ENTRY_BYTES);
  }

  /** Nothing is known of the state any more. */
  forget(key: StateKey): void {
    this.#entries.delete(cacheKey(key.namespace, key.id));
  }

  /** What is known of each state whose head is here. */
  *heads(): Generator<Omit<StoredState, "text">, undefined> {
    for (const { head } of this.#entries.values()) if (head !== null) yield head;
  }

  clear(): void {
    this.#entries.clear();
  }

  #keep(key: StateKey, entry: CachedState): CachedState {
    const name = cacheKey(key.namespace, key.id);
    const known = this.#entries.peek(name);
    if (known !== undefined && known.version > entry.version) return entry;
    if (known?.version === entry.version && known.state !== null) return known;
    this.#entries.set(name, entry, entry.bytes);
    return entry;
  }
}

/** The state of an entry, its document parsed at the first look; null for a tombstone. */
export function materialize(entry: CachedState): State | null {
  if (entry.state !== null) return entry.state;
  if (entry.head === null || entry.text === null) return null;
  entry.state = stateOf(entry.head, parseFrozen(entry.text));
  entry.text = null;
  return entry.state;
}

/** A stored state as callers see it. */
export function stateFrom(stored: StoredState): State {
  const { text, ...head } = stored;
  return stateOf(head, text === null ? null : parseFrozen(text));
}

function stateOf(head: Omit<StoredState, "text">, data: Json): State {
  const { deleted: _, ...state } = head;
  return Object.freeze({ ...state, data });
}

/** Ids hold no control characters, so one can part the two. */
function cacheKey(namespace: string, id: string): string {
  return namespace === "default" ? id : `${namespace}\u001f${id}`;
}
