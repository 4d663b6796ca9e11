import type { StateKey, StateStore, StoredState } from "../state/ports.ts";
import type { StateCache } from "./state-cache.ts";
import { nameOf } from "./state-name.ts";

interface Wanted {
  readonly key: StateKey;
  /** Set where the state changed while the read was under way: its answer is not kept. */
  outdated: boolean;
  readonly answer: Promise<StoredState | null>;
  readonly resolve: (state: StoredState | null) => void;
  readonly reject: (error: unknown) => void;
}

/** Keys in one query. */
const READ_LIMIT = 100;

/** Reads states from the database; calls of one turn of the event loop share a query. */
export class Reader {
  readonly #store: Pick<StateStore, "readStates">;
  readonly #cache: StateCache;
  #gathering = new Map<string, Wanted>();
  readonly #underWay = new Set<Wanted>();

  constructor(store: Pick<StateStore, "readStates">, cache: StateCache) {
    this.#store = store;
    this.#cache = cache;
  }

  /** The state as it is now in the database, tombstones included; null where it never was. */
  read(key: StateKey): Promise<StoredState | null> {
    const name = nameOf(key.namespace, key.id);
    const known = this.#gathering.get(name);
    if (known !== undefined) return known.answer;
    if (this.#gathering.size === 0) setImmediate(() => this.#send());
    const wanted = want(key);
    this.#gathering.set(name, wanted);
    this.#underWay.add(wanted);
    return wanted.answer;
  }

  /** A state changed: what is being read of it right now may be older. */
  outdate(key: StateKey): void {
    if (this.#underWay.size === 0) return;
    for (const wanted of this.#underWay) {
      if (wanted.key.id === key.id && wanted.key.namespace === key.namespace)
        wanted.outdated = true;
    }
  }

  /** Anything may have changed. */
  outdateAll(): void {
    for (const wanted of this.#underWay) wanted.outdated = true;
  }

  #send(): void {
    const all = [...this.#gathering.values()];
    this.#gathering = new Map();
    for (let from = 0; from < all.length; from += READ_LIMIT) {
      void this.#query(all.slice(from, from + READ_LIMIT));
    }
  }

  async #query(wanted: readonly Wanted[]): Promise<void> {
    try {
      const states = await this.#store.readStates(wanted.map(({ key }) => key));
      wanted.forEach((one, index) => {
        const state = states[index] ?? null;
        if (state !== null && !one.outdated) this.#cache.put(state);
        one.resolve(state);
      });
    } catch (error) {
      for (const one of wanted) one.reject(error);
    } finally {
      for (const one of wanted) this.#underWay.delete(one);
    }
  }
}

function want(key: StateKey): Wanted {
  let wanted!: Wanted;
  const answer = new Promise<StoredState | null>((resolve, reject) => {
    // `answer` is set below: a promise cannot be named inside its own executor.
    wanted = { key, outdated: false, resolve, reject } as Wanted;
  });
  return Object.assign(wanted, { answer });
}
