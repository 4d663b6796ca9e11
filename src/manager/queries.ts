import { describePatch, diffJson } from "../state/diff.ts";
import { AgentRuntimeError } from "../state/errors.ts";
import {
  checkId,
  checkIdPart,
  checkNamespace,
  checkPhase,
  checkScope,
  checkType,
  parseVersion,
} from "../state/identifiers.ts";
import { callFault, withDeadline } from "../service/deadline.ts";
import { isFull } from "../state/page.ts";
import type { FoundState, ReadNeed, StateKey, StateStore, StoredState } from "../state/ports.ts";
import { pageLimit } from "../state/page.ts";
import { quote } from "../state/quote.ts";
import { isCut, versionSeen } from "../state/session-token.ts";
import type {
  Diff,
  DiffOptions,
  FreshnessOptions,
  HistoryOptions,
  ListOptions,
  ReadOptions,
  ScopeOptions,
} from "../state/request.ts";
import type {
  HistoryEntry,
  Page,
  ScopeStatus,
  State,
  StateSummary,
  Step,
  Version,
} from "../state/state.ts";
import type { Limits } from "./limits.ts";
import type { CopyReader } from "./roll-back.ts";
import { CONSISTENCIES } from "./reader.ts";
import type { Reader } from "./reader.ts";
import { scopeNotFound } from "./roll-back-refusal.ts";
import { isExpired, stateFrom } from "./state-cache.ts";
import type { StateCache } from "./state-cache.ts";

/** How long a look at where a scope stands waits for the rollback database. */
const ROLLBACK_STEP_MS = 500;

export interface QueriesOptions {
  readonly store: StateStore;
  readonly reader: Reader;
  readonly cache: StateCache;
  readonly limits: Limits;
  /** Null: there is no rollback database. */
  readonly copies: Pick<CopyReader, "standing"> | null;
}

/** A state, and which copy answered. */
export interface ReadState {
  readonly state: State;
  readonly servedBy: "l1" | FoundState["servedBy"];
}

/** Everything that only reads. */
export class Queries {
  readonly #store: StateStore;
  readonly #reader: Reader;
  readonly #cache: StateCache;
  readonly #limits: Limits;
  readonly #copies: Pick<CopyReader, "standing"> | null;

  constructor(options: QueriesOptions) {
    this.#store = options.store;
    this.#reader = options.reader;
    this.#cache = options.cache;
    this.#limits = options.limits;
    this.#copies = options.copies;
  }

  /** The state from this process's memory, where that is fresh enough for this read. */
  hit(id: string, options: ReadOptions | undefined): Promise<State> | undefined {
    if (options === undefined) return this.#cache.answer("default", id);
    if (!mayBeOfMemory(options)) return undefined;
    return this.#cache.answer(options.namespace ?? "default", id, options.minVersion);
  }

  /**
   * What `answer` makes of the state; called where it is at hand, for a promise more is seen in what a read costs that
   * the shared cache serves.
   */
  get<Answer>(
    id: string,
    options: ReadOptions,
    answer: (read: ReadState) => Answer,
  ): Promise<Answer> {
    const { namespace } = this.#keyOf(id, options.namespace);
    const { consistency } = needOf(options);
    const minVersion = versionIn(options.minVersion) ?? 0n;
    const version = versionIn(options.version);
    if (version !== undefined) {
      const key = { namespace, id };
      const need = { consistency, session: [{ ...key, version: minVersion }] };
      return this.#at(key, version, need).then(answer);
    }
    const key = { namespace, id, leastVersion: minVersion };
    return this.#reader
      .find(key, consistency)
      .then(({ state, servedBy }) => answer({ state: living(key, state), servedBy }));
  }

  async history(id: string, options: HistoryOptions): Promise<Page<HistoryEntry>> {
    const key = this.#keyOf(id, options.namespace);
    const limit = pageLimit(this.#limits.pageItems, options.limit);
    const need = needOf(options);
    const items = await this.#store.history(
      key,
      { before: versionIn(options.before) ?? null, limit },
      need,
    );
    if (items.length === 0 && (await this.#now(key, need)) === null) throw notFound(key);
    return page(items, limit, (last) => last.version.toString());
  }

  async diff(id: string, options: DiffOptions): Promise<Diff> {
    const key = this.#keyOf(id, options.namespace);
    const need = needOf(options);
    const to = versionIn(options.to) ?? (await this.#newest(key, need));
    const from = versionIn(options.from) ?? to - 1n;
    const [before, after] = await Promise.all([
      this.#dataAt(key, from, need),
      this.#dataAt(key, to, need),
    ]);
    const patch = diffJson(before, after);
    return { id, from, to, patch, readable: describePatch(before, patch) };
  }

  async list(options: ListOptions): Promise<Page<StateSummary>> {
    const limit = pageLimit(this.#limits.pageItems, options.limit);
    if (options.type !== undefined) checkType(options.type);
    if (options.scope !== undefined) checkScope(options.scope);
    if (options.phase !== undefined) checkPhase(options.phase);
    if (options.idPrefix !== undefined) checkIdPart(options.idPrefix, "INVALID_ID");
    if (options.after !== undefined) checkIdPart(options.after, "INVALID_CURSOR");
    const namespace = checkNamespace(options.namespace ?? "default");
    const items = await this.#store.list({ ...options, namespace, limit }, needOf(options));
    return page(items, limit, (last) => last.id);
  }

  async scope(scope: string, options: ScopeOptions): Promise<ScopeStatus> {
    const status = await this.#status(scope, options);
    return { ...status, rollbackStep: await this.#rollbackStep(status) };
  }

  /** The step that could be gone back to; null where nothing could, or nobody answers in time. */
  async #rollbackStep({ namespace, scope }: ScopeStatus): Promise<Step | null> {
    const copies = this.#copies;
    if (copies === null) return null;
    const limit = { what: "The look at the rollback database", timeoutMs: ROLLBACK_STEP_MS };
    try {
      const copy = await withDeadline(limit, () => copies.standing({ namespace, scope }));
      return copy === null || copy.broken !== null ? null : copy.promotedStep;
    } catch (error) {
      if (error instanceof AgentRuntimeError) return null;
      throw error;
    }
  }

  async #status(scope: string, options: ScopeOptions): Promise<ScopeStatus> {
    const namespace = checkNamespace(options.namespace ?? "default");
    const key = { namespace, scope: checkScope(scope) };
    const status = await this.#store.scope(key, needOf(options));
    if (status !== null) return status;
    throw scopeNotFound(namespace, scope);
  }

  async scopeStates(
    scope: string,
    options: ScopeOptions & {
      readonly step?: Step;
      readonly limit?: number;
      readonly after?: string;
    },
  ): Promise<Page<State>> {
    const { namespace, step: head } = await this.#status(scope, options);
    const limit = pageLimit(this.#limits.pageItems, options.limit);
    const step = options.step === undefined ? null : parseVersion(options.step, "INVALID_STEP");
    if (step !== null && (step > head || step < 1n)) {
      throw new AgentRuntimeError(
        "STEP_NOT_FOUND",
        `Scope ${quote(scope)} has the steps 1 to ${head}, not ${step}.`,
      );
    }
    const { after = null } = options;
    if (after !== null) checkIdPart(after, "INVALID_CURSOR");
    const rows = { step, after, limit };
    const states = await this.#store.scopeStates({ namespace, scope }, rows, needOf(options));
    const forgotten = states.find(({ version }) => version === 0n);
    if (forgotten !== undefined) {
      throw new AgentRuntimeError(
        "HISTORY_PRUNED",
        `History no longer has what ${quote(forgotten.id)} was at step ${step} of scope ${quote(scope)}. Choose a later step.`,
      );
    }
    const texts = states.map(({ text }) => text);
    const items = states.map(stateFrom);
    return isFull(texts, limit) ? { items, next: items.at(-1)!.id } : { items };
  }

  async #at(key: StateKey, version: Version, need: ReadNeed): Promise<ReadState> {
    const { state, servedBy } = await this.#store.readVersion(key, version, need);
    if (state !== null) return { state: living(key, state, true), servedBy };
    const newest = await this.#newest(key, need);
    throw new AgentRuntimeError(
      "VERSION_NOT_FOUND",
      `${quote(key.id)} has no version ${version} that is kept; its newest is ${newest}.`,
    );
  }

  /** The document at a version; null before the first and where it was deleted. */
  async #dataAt(key: StateKey, version: Version, need: ReadNeed): Promise<State["data"]> {
    if (version === 0n) return null;
    const { state } = await this.#store.readVersion(key, version, need);
    if (state !== null) return stateFrom(state).data;
    return (await this.#at(key, version, need)).state.data;
  }

  async #newest(key: StateKey, need: ReadNeed): Promise<Version> {
    const state = await this.#now(key, need);
    if (state === null) throw notFound(key);
    return state.version;
  }

  async #now(key: StateKey, { consistency, session }: ReadNeed): Promise<StoredState | null> {
    const seen = versionSeen(session, key);
    const isUnknown = seen === undefined && isCut(session) && consistency === "session";
    const wanted = { ...key, leastVersion: seen ?? 0n };
    return (await this.#reader.find(wanted, isUnknown ? "strong" : consistency)).state;
  }

  #keyOf(id: string, namespace = "default"): StateKey {
    return { namespace: checkNamespace(namespace), id: checkId(id, this.#limits.idCharacters) };
  }
}

/** A read that memory must not answer goes to where it is refused, or to a database. */
function mayBeOfMemory(options: ReadOptions): boolean {
  const { version, consistency = "session", minVersion = 0n } = options;
  if (version !== undefined || consistency === "strong") return false;
  if (!CONSISTENCIES.includes(consistency) || typeof minVersion !== "bigint") return false;
  return options.signal?.aborted !== true && callFault(options) === undefined;
}

function needOf({ consistency = "session", session = [] }: FreshnessOptions): ReadNeed {
  if (!CONSISTENCIES.includes(consistency)) {
    throw new AgentRuntimeError(
      "INVALID_REQUEST",
      `"consistency" must be one of ${CONSISTENCIES.join(", ")}`,
      { field: "consistency" },
    );
  }
  return { consistency, session };
}

function versionIn(version: Version | undefined): Version | undefined {
  return version === undefined ? undefined : parseVersion(version, "INVALID_VERSION");
}

function living(key: StateKey, stored: StoredState | null, atVersion = false): State {
  if (stored === null) throw notFound(key);
  if (stored.deleted || (!atVersion && isExpired(stored))) {
    const what = stored.deleted ? "was deleted at" : "has expired after";
    throw new AgentRuntimeError(
      "GONE",
      `${quote(key.id)} ${what} version ${stored.version}. History has what it was.`,
    );
  }
  return stateFrom(stored);
}

function notFound(key: StateKey): AgentRuntimeError {
  return new AgentRuntimeError(
    "STATE_NOT_FOUND",
    `There is no state ${quote(key.id)} in namespace ${quote(key.namespace)}.`,
  );
}

function page<Item>(
  items: readonly Item[],
  limit: number,
  next: (last: Item) => string,
): Page<Item> {
  return items.length < limit ? { items } : { items, next: next(items.at(-1)!) };
}
