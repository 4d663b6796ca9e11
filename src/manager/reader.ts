import type { FoundState, StateKey, StateStore, StoredState, WantedState } from "../state/ports.ts";
import type { Consistency } from "../state/request.ts";
import type { StateCache } from "./state-cache.ts";

interface Wanted {
  readonly key: WantedState;
  readonly consistency: Consistency;
  /** Set where the state changed while the read was under way: its answer is not kept. */
  outdated: boolean;
  readonly answer: Promise<FoundState>;
  readonly resolve: (found: FoundState) => void;
  readonly reject: (error: unknown) => void;
}

/** Keys in one query. */
const READ_LIMIT = 100;

/** Reads states from the database; calls of one turn of the event loop share a query. */
export class Reader {
  readonly #store: Pick<StateStore, "find">;
  readonly #cache: StateCache;
  #gathering = new Map<string, Wanted>();
  readonly #underWay = new Set<Wanted>();

  constructor(store: Pick<StateStore, "find">, cache: StateCache) {
    this.#store = store;
    this.#cache = cache;
  }

  /** The state as main has it now, tombstones included; null where it never was. */
  async read(key: StateKey): Promise<StoredState | null> {
    return (await this.find({ ...key, leastVersion: 0n }, "strong")).state;
  }

  /** The state from a database that is fresh enough, and from which. */
  find(key: WantedState, consistency: Consistency): Promise<FoundState> {
    const name = `${consistency}\u001f${key.leastVersion}\u001f${key.namespace}\u001f${key.id}`;
    const known = this.#gathering.get(name);
    if (known !== undefined) return known.answer;
    if (this.#gathering.size === 0) setImmediate(() => this.#send());
    const wanted = want(key, consistency);
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
    const gathered = [...this.#gathering.values()];
    this.#gathering = new Map();
    for (const consistency of ["strong", "session", "eventual"] as const) {
      const all = gathered.filter((wanted) => wanted.consistency === consistency);
      for (let from = 0; from < all.length; from += READ_LIMIT) {
        void this.#query(all.slice(from, from + READ_LIMIT), consistency);
      }
    }
  }

  async #query(wanted: readonly Wanted[], consistency: Consistency): Promise<void> {
    try {
      const found = await this.#store.find(
        wanted.map(({ key }) => key),
        consistency,
      );
      // What may be older than what was seen here is not kept.
      const mayKeep = consistency !== "eventual";
      wanted.forEach((one, index) => {
        const { state } = found[index]!;
        if (mayKeep && state !== null && !one.outdated) this.#cache.put(state);
        one.resolve(found[index]!);
      });
    } catch (error) {
      for (const one of wanted) one.reject(error);
    } finally {
      for (const one of wanted) this.#underWay.delete(one);
    }
  }
}

function want(key: WantedState, consistency: Consistency): Wanted {
  let wanted!: Wanted;
  const answer = new Promise<FoundState>((resolve, reject) => {
    // `answer` is set below: a promise cannot be named inside its own executor.
    wanted = { key, consistency, outdated: false, resolve, reject } as Wanted;
  });
  return Object.assign(wanted, { answer });
}
