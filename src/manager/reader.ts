import type { FoundState, StateKey, StateStore, StoredState, WantedState } from "../state/ports.ts";
import type { Consistency } from "../state/request.ts";
import type { StateCache } from "./state-cache.ts";
import { nameOf } from "./state-name.ts";

interface Wanted {
  readonly key: WantedState;
  /** Set where the state changed while the read was under way: its answer is not kept. */
  outdated: boolean;
  readonly answer: Promise<FoundState>;
  readonly resolve: (found: FoundState) => void;
  readonly reject: (error: unknown) => void;
}

/** Keys in one query. */
const READ_LIMIT = 100;

export const CONSISTENCIES = ["strong", "session", "eventual"] as const;

/** What is asked for in one turn, by the name of the state and the version that it is wanted at. */
type Gathering = Readonly<Record<Consistency, Map<string, Wanted>>>;

/** Reads states from the database; calls of one turn of the event loop share a query. */
export class Reader {
  readonly #store: Pick<StateStore, "find">;
  readonly #cache: StateCache;
  #gathering: Gathering | null = null;
  readonly #underWay = new Set<readonly Wanted[]>();

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
    const gathered = (this.#gathering ??= this.#gather())[consistency];
    const name = nameOfWanted(key);
    const known = gathered.get(name);
    if (known !== undefined) return known.answer;
    const wanted = want(key);
    gathered.set(name, wanted);
    return wanted.answer;
  }

  /** A state changed: what is being read of it right now may be older. */
  outdate(key: StateKey): void {
    if (this.#gathering === null && this.#underWay.size === 0) return;
    for (const wanted of this.#asked()) {
      if (wanted.key.id === key.id && wanted.key.namespace === key.namespace)
        wanted.outdated = true;
    }
  }

  /** Anything may have changed. */
  outdateAll(): void {
    for (const wanted of this.#asked()) wanted.outdated = true;
  }

  /** Whatever was asked for and is not answered. */
  *#asked(): Generator<Wanted, undefined> {
    if (this.#gathering !== null) {
      for (const consistency of CONSISTENCIES) yield* this.#gathering[consistency].values();
    }
    for (const wanted of this.#underWay) yield* wanted;
  }

  #gather(): Gathering {
    setImmediate(() => this.#send());
    return { strong: new Map(), session: new Map(), eventual: new Map() };
  }

  #send(): void {
    const gathering = this.#gathering!;
    this.#gathering = null;
    for (const consistency of CONSISTENCIES) {
      const all = [...gathering[consistency].values()];
      for (let from = 0; from < all.length; from += READ_LIMIT) {
        void this.#query(all.slice(from, from + READ_LIMIT), consistency);
      }
    }
  }

  async #query(wanted: readonly Wanted[], consistency: Consistency): Promise<void> {
    this.#underWay.add(wanted);
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
      this.#underWay.delete(wanted);
    }
  }
}

function nameOfWanted({ namespace, id, leastVersion }: WantedState): string {
  const name = nameOf(namespace, id);
  return leastVersion === 0n ? name : `\u001f\u001f${leastVersion}\u001f${name}`;
}

function want(key: WantedState): Wanted {
  let resolve!: Wanted["resolve"];
  let reject!: Wanted["reject"];
  const answer = new Promise<FoundState>((onFound, onError) => {
    resolve = onFound;
    reject = onError;
  });
  return { key, outdated: false, answer, resolve, reject };
}
