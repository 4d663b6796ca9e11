import { systemClock } from "../service/clock.ts";
import type { Clock } from "../service/clock.ts";
import type { Json } from "../state/json.ts";
import type { FoundState, Moment, StateStore, StoredState, WantedState } from "../state/ports.ts";
import type { Consistency } from "../state/request.ts";
import type { SharedCache, SharedEntry } from "../state/shared-cache.ts";
import type { Directory } from "./directory.ts";
import type { SharedFreshness } from "./shared-freshness.ts";
import { nameOf } from "./state-name.ts";

/** Each entry lives this much shorter at most, so that not all that was read at one time ends at one time. */
const JITTER = 0.2;

export interface SharedReadsOptions {
  readonly store: Pick<StateStore, "find">;
  readonly shared: SharedCache;
  readonly freshness: SharedFreshness;
  readonly directory: Directory;
  readonly clock?: Clock;
  readonly random?: () => number;
}

/** How the shared cache does, and what it answered since this process started. */
export interface SharedStatus {
  readonly health: "ok" | "unavailable";
  /** Why nothing is asked of it now. */
  readonly reason?: string;
  readonly hits: number;
  readonly misses: number;
  /** Entries that were older than what their reader has to see. */
  readonly stale: number;
  /** Calls that failed or took too long. */
  readonly errors: number;
}

/** Reads that ask a shared cache (L2) before the databases, and leave there what those answered. */
export class SharedReads {
  readonly #options: SharedReadsOptions;
  #hits = 0;
  #misses = 0;
  #stale = 0;

  constructor(options: SharedReadsOptions) {
    this.#options = options;
  }

  get status(): SharedStatus {
    const { trouble, errors } = this.#options.shared;
    const figures = { hits: this.#hits, misses: this.#misses, stale: this.#stale, errors };
    if (trouble === null) return { health: "ok", ...figures };
    return { health: "unavailable", reason: trouble, ...figures };
  }

  async find(wanted: readonly WantedState[], consistency: Consistency): Promise<FoundState[]> {
    const { shared, freshness, store } = this.#options;
    const { moment } = freshness;
    if (moment === null || consistency === "strong" || shared.trouble !== null) {
      return await store.find(wanted, consistency);
    }
    const keys = wanted.map((one) => keyOf(moment, one));
    const entries = await shared.get(keys);
    // Main may have been restarted or restored meanwhile: what is needed now says nothing of what was left before.
    const isSameRun = freshness.moment?.run === moment.run;
    const found = wanted.map((one, index) =>
      this.#judged(one, isSameRun ? entries[index] : undefined, consistency),
    );
    const missing = [...wanted.keys()].filter((index) => found[index] === undefined);
    if (missing.length === 0) return found as FoundState[];
    // Whatever is read from now on has what was settled at the moment before.
    const now = freshness.moment ?? moment;
    const read = await store.find(
      missing.map((index) => wanted[index]!),
      consistency,
    );
    // Nor does a moment of one run say what was read in the next.
    const mayLeave = freshness.moment?.run === now.run;
    for (const [at, index] of missing.entries()) {
      found[index] = read[at]!;
      const { state, servedBy, asOfMs } = read[at]!;
      // A replica may be behind that moment; what it has for sure is what was settled some time before.
      const has =
        servedBy === "main" ? now : asOfMs === undefined ? null : freshness.momentAt(asOfMs);
      if (mayLeave && has !== null && state !== null) this.#leave(has, state);
    }
    return found as FoundState[];
  }

  #judged(
    wanted: WantedState,
    entry: SharedEntry | undefined,
    consistency: Consistency,
  ): FoundState | undefined {
    if (entry === undefined) {
      this.#misses++;
      return undefined;
    }
    const state = this.#isFresh(wanted, entry, consistency) ? stateOf(wanted, entry) : undefined;
    if (state === undefined) {
      this.#stale++;
      return undefined;
    }
    this.#hits++;
    return { state, servedBy: "dragonfly" };
  }

  #isFresh(
    wanted: WantedState,
    { version, settled }: SharedEntry,
    consistency: Consistency,
  ): boolean {
    if (version < wanted.leastVersion) return false;
    if (consistency === "eventual") return true;
    const { directory, freshness } = this.#options;
    const name = nameOf(wanted.namespace, wanted.id);
    const standing = directory.judge(name, version);
    return standing === "newest" || (standing === "unsure" && freshness.covers(name, settled));
  }

  #leave(moment: Moment, state: StoredState): void {
    const { shared, clock = systemClock, random = Math.random } = this.#options;
    const text = textOf(state);
    if (text.length > shared.entryBytes) return;
    const jittered = shared.ttlMs * (1 - JITTER * random());
    const left = state.expiresAt === null ? jittered : state.expiresAt.getTime() - clock.now();
    const ttlMs = Math.floor(Math.min(jittered, left));
    if (ttlMs <= 0) return;
    const { version } = state;
    shared.put(keyOf(moment, state), { version, settled: moment.settled, text }, ttlMs);
  }
}

/** One key a state and run of main: what another run left is never looked at. */
function keyOf({ run }: Moment, { namespace, id }: { namespace: string; id: string }): string {
  return `${run}:${namespace}:${id}`;
}

/** The document stays text: it may be large, and is parsed by whoever looks at it. */
function textOf(state: StoredState): string {
  const { type, scope, step, phase, digest, createdAt, updatedAt, expiresAt, deleted } = state;
  const dates = [createdAt.getTime(), updatedAt.getTime(), expiresAt?.getTime() ?? null];
  const head = JSON.stringify([type, scope, step.toString(), phase, digest, ...dates, deleted]);
  return `${head}\n${state.text ?? ""}`;
}

/** Undefined where the text is none that this program wrote. */
function stateOf(
  { namespace, id }: WantedState,
  { version, text }: SharedEntry,
): StoredState | undefined {
  const end = text.indexOf("\n");
  const head = headOf(text.slice(0, Math.max(end, 0)));
  if (head === undefined) return undefined;
  const [type, scope, step, phase, digest, createdAt, updatedAt, expiresAt, deleted] = head;
  return {
    namespace,
    id,
    type,
    scope,
    version,
    step: BigInt(step),
    phase,
    digest,
    createdAt: new Date(createdAt),
    updatedAt: new Date(updatedAt),
    expiresAt: expiresAt === null ? null : new Date(expiresAt),
    deleted,
    text: deleted ? null : text.slice(end + 1),
  };
}

type Head = [
  type: string,
  scope: string,
  step: string,
  phase: string | null,
  digest: string,
  createdAt: number,
  updatedAt: number,
  expiresAt: number | null,
  deleted: boolean,
];

function headOf(text: string): Head | undefined {
  try {
    const head = JSON.parse(text) as Json;
    return Array.isArray(head) && head.length === 9 && /^\d+$/.test(String(head[2]))
      ? (head as Head)
      : undefined;
  } catch {
    return undefined;
  }
}
