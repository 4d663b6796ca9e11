interface Entry<Value> {
  value: Value;
  bytes: number;
  used: boolean;
}

/** A set, or a map, of keys. */
interface Marks<Key> {
  delete(key: Key): boolean;
}

/** What a cache may hold, and what it counts. */
export interface CacheBounds {
  /** 0: it holds nothing. */
  readonly entries: number;
  readonly bytes: number;
}

/**
 * A map that stays within its bounds by dropping what was not used of late.
 *
 * It evicts by SIEVE: a hand walks from the oldest entry to the newest, spares once what was used
 * since it last came by, and drops what was not. A hit only sets a flag, where LRU would move the
 * entry: measured twice as fast on a `Map`, and it keeps the hot set when a scan runs through.
 */
export class SieveCache<Key, Value> {
  readonly #bounds: CacheBounds;
  readonly #marks: Marks<Key>;
  readonly #onEvicted: ((key: Key, value: Value) => void) | undefined;
  readonly #entries = new Map<Key, Entry<Value>>();
  /** A live iterator of a Map survives deletions and sees what is added: it is the hand. */
  #hand: MapIterator<[Key, Entry<Value>]>;
  #bytes = 0;
  #hits = 0;
  #misses = 0;

  /**
   * @param marks keys that count as used as well; each is taken out when the hand comes by.
   * @param onEvicted told of each entry that had to make room.
   */
  constructor(
    bounds: CacheBounds,
    marks: Marks<Key> = new Set(),
    onEvicted?: (key: Key, value: Value) => void,
  ) {
    this.#bounds = bounds;
    this.#marks = marks;
    this.#onEvicted = onEvicted;
    this.#hand = this.#entries.entries();
  }

  get size(): number {
    return this.#entries.size;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** How many `get` found something since the start. */
  get hits(): number {
    return this.#hits;
  }

  /** How many `get` found nothing since the start. */
  get misses(): number {
    return this.#misses;
  }

  get(key: Key): Value | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) {
      this.#misses += 1;
      return undefined;
    }
    this.#hits += 1;
    entry.used = true;
    return entry.value;
  }

  /** The value, without counting as a use. */
  peek(key: Key): Value | undefined {
    return this.#entries.get(key)?.value;
  }

  /** Every value, without counting as a use; it may be gone through while entries come and go. */
  *values(): Generator<Value, undefined> {
    for (const { value } of this.#entries.values()) yield value;
  }

  /** Keeps the value; one that is larger than the whole cache only drops what was there before. */
  set(key: Key, value: Value, bytes: number): void {
    if (bytes > this.#bounds.bytes || this.#bounds.entries === 0) {
      this.delete(key);
      return;
    }
    const entry = this.#entries.get(key);
    if (entry === undefined) {
      this.#evictUntilFits(bytes, 1);
      this.#entries.set(key, { value, bytes, used: false });
      this.#bytes += bytes;
      return;
    }
    this.#bytes += bytes - entry.bytes;
    entry.value = value;
    entry.bytes = bytes;
    entry.used = true;
    this.#evictUntilFits(0, 0);
  }

  delete(key: Key): boolean {
    const entry = this.#entries.get(key);
    if (entry === undefined) return false;
    this.#bytes -= entry.bytes;
    return this.#entries.delete(key);
  }

  clear(): void {
    this.#entries.clear();
    this.#hand = this.#entries.entries();
    this.#bytes = 0;
  }

  #evictUntilFits(bytes: number, entries: number): void {
    while (
      this.#entries.size + entries > this.#bounds.entries ||
      this.#bytes + bytes > this.#bounds.bytes
    ) {
      this.#evictOne();
    }
  }

  /** Terminates: an entry that is spared loses its mark, so the second round evicts one. */
  #evictOne(): void {
    for (;;) {
      const next = this.#hand.next();
      if (next.done === true) {
        this.#hand = this.#entries.entries();
        continue;
      }
      const [key, entry] = next.value;
      if (this.#marks.delete(key) || entry.used) {
        entry.used = false;
        continue;
      }
      this.#entries.delete(key);
      this.#bytes -= entry.bytes;
      this.#onEvicted?.(key, entry.value);
      return;
    }
  }
}
