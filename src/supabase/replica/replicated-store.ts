import { isUncertain } from "../../state/errors.ts";
import type {
  ChangeFeed,
  FoundState,
  HistoryPage,
  ListPage,
  ReadNeed,
  ScopeKey,
  ScopePage,
  StateKey,
  StateStore,
  WantedState,
} from "../../state/ports.ts";
import type { Recovery } from "../../state/recovery-ports.ts";
import type { Consistency, SessionToken } from "../../state/request.ts";
import { isCut, stepsSeen, versionSeen } from "../../state/session-token.ts";
import type { ScopeStatus, HistoryEntry, StateSummary, Version } from "../../state/state.ts";
import type { ScopeStep } from "../sql/copy-standing.ts";
import { digestsOf, stateDigests } from "../sql/compare-copies.ts";
import { listStates } from "../sql/list-states.ts";
import { readHistory } from "../sql/read-history.ts";
import { readScope } from "../sql/read-scope.ts";
import { readScopeStates, readStates, readVersion } from "../sql/read-states.ts";
import type { ReadCounter } from "./read-figures.ts";
import type { CopyRead, Replica } from "./replica.ts";
import type { Seen } from "./seen.ts";

/** Nothing that a read must see beside its own rows. */
const NO_SCOPES: readonly ScopeStep[] = [];

export interface ReplicatedOptions {
  readonly main: StateStore;
  readonly replica: Replica;
  readonly seen: Seen;
  readonly counter: ReadCounter;
  /** Ends what the replica's ways are made of. */
  readonly close: () => Promise<void>;
}

/**
 * Main's store, its reads served by a replica wherever that has what the session wrote or saw.
 *
 * Writes, the feed, what a repeated key is answered and strong reads stay on main. What comes from there is
 * noted, so that no later read falls behind it.
 */
export function replicatedStore(options: ReplicatedOptions): StateStore {
  const { main, replica, counter } = options;
  const reads = new ReplicatedReads(options);
  const closeAll = async (): Promise<void> => {
    await replica.close();
    await Promise.all([options.close(), main.close()]);
  };
  let closing: Promise<void> | undefined;
  return {
    ...main,
    commitBatch: async (lane, units, reserve) => {
      try {
        const answers = await main.commitBatch(lane, units, reserve);
        units.forEach((unit, index) => reads.noteCommit(unit, answers[index]!));
        return answers;
      } catch (error) {
        if (isUncertain(error)) for (const unit of units) reads.noteDoubt(unit);
        throw error;
      }
    },
    readStep: async (namespace, scope, step) => {
      const rows = await main.readStep(namespace, scope, step);
      for (const row of rows) options.seen.noteState({ ...row, namespace });
      return rows;
    },
    find: (wanted, consistency) => reads.find(wanted, consistency),
    readVersion: (key, version, need) => reads.readVersion(key, version, need),
    list: (page, need) => reads.list(page, need),
    history: (key, page, need) => reads.history(key, page, need),
    scope: (scope, need) => reads.scope(scope, need),
    scopeStates: (scope, page, need) => reads.scopeStates(scope, page, need),
    feed: notedFeed(main.feed, options.seen),
    recovery: notedRecovery(main.recovery, options.seen),
    replica: {
      get status() {
        return replica.status;
      },
      get figures() {
        return counter.figures;
      },
      open: (reason, ms) => replica.open(reason, ms),
      copy: {
        digests: (after, limit) => replica.look((caller) => stateDigests(caller, after, limit)),
        digestsOf: (stateNos) => replica.look((caller) => digestsOf(caller, stateNos)),
      },
    },
    close: () => (closing ??= closeAll()),
  };
}

/** What the feed tells is seen: a read that follows is no older. */
function notedFeed(feed: ChangeFeed, seen: Seen): ChangeFeed {
  return {
    ...feed,
    read: async (after, limit) => {
      const rows = await feed.read(after, limit);
      for (const row of rows) seen.noteState(row);
      return rows;
    },
    foreign: async (after, limit) => {
      const changes = await feed.foreign(after, limit);
      // Else a read would bring back into the cache what was just taken out of it.
      for (const state of changes.changed) seen.noteState(state);
      if (!changes.complete) seen.noteAll();
      return changes;
    },
  };
}

/** A rollback is seen, and that a scope was held or released, which makes no step. */
function notedRecovery(recovery: Recovery, seen: Seen): Recovery {
  return {
    ...recovery,
    rollBack: async (order) => {
      const { namespace, scope } = order;
      const answer = await recovery.rollBack(order).catch((error: unknown) => {
        if (isUncertain(error)) seen.noteAll();
        throw error;
      });
      if (answer.refused !== null) return answer;
      // It changed states that it does not name: until the replica has it, all is read from main.
      seen.noteAll();
      seen.noteScope({ namespace, scope, step: answer.step });
      return answer;
    },
    hold: (namespace, scope, why) => {
      return recovery
        .hold(namespace, scope, why)
        .finally(() => seen.noteStatus({ namespace, scope }));
    },
    release: (namespace, scope) => {
      return recovery
        .release(namespace, scope)
        .finally(() => seen.noteStatus({ namespace, scope }));
    },
  };
}

type Unit = Parameters<StateStore["commitBatch"]>[1][number];
type Rows = Awaited<ReturnType<StateStore["commitBatch"]>>[number];

class ReplicatedReads {
  readonly #main: StateStore;
  readonly #replica: Replica;
  readonly #seen: Seen;
  readonly #counter: ReadCounter;

  constructor({ main, replica, seen, counter }: ReplicatedOptions) {
    this.#main = main;
    this.#replica = replica;
    this.#seen = seen;
    this.#counter = counter;
  }

  noteCommit({ namespace, changes }: Unit, rows: Rows): void {
    changes.forEach(({ id }, index) => {
      const { code, version, scope, step } = rows[index]!;
      if (code === null) this.#seen.noteState({ namespace, id, version, scope, step });
      // A refusal tells the version too.
      else if (version > 0n) this.#seen.noteState({ namespace, id, version });
    });
  }

  noteDoubt({ namespace, changes }: Unit): void {
    for (const { id } of changes) this.#seen.noteDoubt({ namespace, id });
  }

  async find(wanted: readonly WantedState[], consistency: Consistency): Promise<FoundState[]> {
    const found: (FoundState | undefined)[] = wanted.map(() => undefined);
    const least = wanted.map((one) => laterVersion(one.leastVersion, this.#seen.leastVersion(one)));
    const open = (): number[] => [...found.keys()].filter((index) => found[index] === undefined);
    if (consistency !== "strong") {
      const isEventual = consistency === "eventual";
      await this.#replica.read({
        scopes: NO_SCOPES,
        isAnyFresh: isEventual,
        read: async (caller) => {
          const missing = open();
          // Before it is asked: only an answer from that position on is taken.
          const asOfMs = isEventual ? undefined : this.#seen.asOfMs;
          return {
            missing,
            asOf: asOfMs === undefined ? {} : { asOfMs },
            states: await readStates(
              caller,
              missing.map((index) => wanted[index]!),
            ),
          };
        },
        isFresh: ({ missing, states, asOf }) => {
          for (const [at, index] of missing.entries()) {
            const state = states[at]!;
            const isFresh = isEventual || (state?.version ?? 0n) >= least[index]!;
            if (isFresh) found[index] = { state, servedBy: "readonly", ...asOf };
          }
          const left = open().length;
          this.#counter.countServed("readonly", missing.length - left);
          return left === 0;
        },
      });
    }
    const missing = open();
    if (missing.length === 0) return found as FoundState[];
    const states = await this.#main.readStates(missing.map((index) => wanted[index]!));
    for (const [at, index] of missing.entries()) {
      const state = states[at]!;
      if (state !== null) this.#seen.noteState(state);
      found[index] = { state, servedBy: "main" };
    }
    if (consistency !== "strong") this.#counter.countServed("main", missing.length);
    return found as FoundState[];
  }

  readVersion(key: StateKey, version: Version, need?: ReadNeed): Promise<FoundState> {
    return this.#read(need, {
      scopes: NO_SCOPES,
      read: async (caller): Promise<FoundState> => {
        return { state: await readVersion(caller, key, version), servedBy: "readonly" };
      },
      // What a version was never changes; that there is none, main has to say.
      isFresh: ({ state }) => state !== null,
      onMain: () => this.#main.readVersion(key, version),
    });
  }

  async list(page: ListPage, need?: ReadNeed): Promise<StateSummary[]> {
    return await this.#read(need, {
      scopes: this.#demanded(page.namespace, page.scope, need),
      read: (caller) => listStates(caller, page),
      onMain: async () => {
        const states = await this.#main.list(page);
        for (const state of states) this.#seen.noteState(state);
        return states;
      },
    });
  }

  history(key: StateKey, page: HistoryPage, need?: ReadNeed): Promise<HistoryEntry[]> {
    const least = this.#leastOf(key, need);
    return this.#read(need, {
      scopes: least === null ? null : NO_SCOPES,
      read: (caller) => readHistory(caller, key, page),
      // Below the newest entry nothing is missing.
      isFresh: ([newest]) => {
        const upTo = page.before === null || least! < page.before ? least! : page.before - 1n;
        return (newest?.version ?? 0n) >= upTo;
      },
      onMain: async () => {
        const entries = await this.#main.history(key, page);
        const [newest] = entries;
        if (newest !== undefined) this.#seen.noteState({ ...key, version: newest.version });
        return entries;
      },
    });
  }

  scope(key: ScopeKey, need?: ReadNeed): Promise<ScopeStatus | null> {
    return this.#read(need, {
      scopes: this.#demanded(key.namespace, key.scope, need),
      read: (caller) => readScope(caller, key.namespace, key.scope),
      onMain: async () => {
        const status = await this.#main.scope(key);
        if (status !== null) this.#seen.noteScope(status);
        return status;
      },
    });
  }

  scopeStates(
    key: ScopeKey,
    page: ScopePage,
    need?: ReadNeed,
  ): ReturnType<StateStore["scopeStates"]> {
    return this.#read(need, {
      scopes: this.#demanded(key.namespace, key.scope, need),
      read: (caller) => readScopeStates(caller, key, page),
      onMain: async () => {
        const states = await this.#main.scopeStates(key, page);
        for (const state of states) this.#seen.noteState(state);
        return states;
      },
    });
  }

  async #read<T>(
    need: ReadNeed | undefined,
    reading: Pick<CopyRead<T>, "scopes" | "read"> & {
      readonly isFresh?: (answer: T) => boolean;
      readonly onMain: () => Promise<T>;
    },
  ): Promise<T> {
    const { scopes, read, isFresh, onMain } = reading;
    if (need === undefined || need.consistency === "strong") return await onMain();
    const isAnyFresh = need.consistency === "eventual";
    const fresh = isAnyFresh || isFresh === undefined ? () => true : isFresh;
    const served = await this.#replica.read({ scopes, isAnyFresh, read, isFresh: fresh });
    this.#counter.countServed(served === undefined ? "main" : "readonly");
    return served === undefined ? await onMain() : served.answer;
  }

  /** The steps that a read of a scope, or of the whole namespace, must see; null where nobody can say. */
  #demanded(
    namespace: string,
    scope: string | undefined,
    need?: ReadNeed,
  ): readonly ScopeStep[] | null {
    const session = need?.session ?? [];
    const elsewhere = stepsSeen(session, namespace, scope);
    const here = this.#seen.stepsIn(namespace, scope);
    return elsewhere === null || here === null ? null : [...here, ...elsewhere];
  }

  /** The version that a read of a state must see; null where nobody can say. */
  #leastOf(key: StateKey, need?: ReadNeed): Version | null {
    const session: readonly SessionToken[] = need?.session ?? [];
    const elsewhere = versionSeen(session, key);
    if (elsewhere === undefined && isCut(session)) return null;
    return laterVersion(elsewhere ?? 0n, this.#seen.leastVersion(key));
  }
}

function laterVersion(left: Version, right: Version): Version {
  return left > right ? left : right;
}
