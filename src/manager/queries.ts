import { describePatch, diffJson } from "../state/diff.ts";
import { AgentRuntimeError } from "../state/errors.ts";
import {
  checkId,
  checkNamespace,
  checkPhase,
  checkScope,
  checkType,
} from "../state/identifiers.ts";
import { systemClock } from "../service/clock.ts";
import type { StateKey, StateStore, StoredState } from "../state/ports.ts";
import { quote } from "../state/quote.ts";
import type {
  Diff,
  DiffOptions,
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
import type { Reader } from "./reader.ts";
import { answerOf, stateFrom } from "./state-cache.ts";
import type { StateCache } from "./state-cache.ts";

const DEFAULT_PAGE = 100;

export interface QueriesOptions {
  readonly store: StateStore;
  readonly reader: Reader;
  readonly cache: StateCache;
  readonly limits: Limits;
}

/** Everything that only reads. */
export class Queries {
  readonly #store: StateStore;
  readonly #reader: Reader;
  readonly #cache: StateCache;
  readonly #limits: Limits;

  constructor(options: QueriesOptions) {
    this.#store = options.store;
    this.#reader = options.reader;
    this.#cache = options.cache;
    this.#limits = options.limits;
  }

  /** The state from this process's memory, where that is fresh enough for this read; else null. */
  hit(id: string, options: ReadOptions | undefined): Promise<State> | null {
    if (options?.version !== undefined || options?.consistency === "strong") return null;
    const entry = this.#cache.get(options?.namespace ?? "default", id);
    if (entry === undefined || isExpired(entry)) return null;
    const minVersion = options?.minVersion;
    if (minVersion !== undefined && entry.head.version < minVersion) return null;
    return entry.answer ?? answerOf(entry);
  }

  async get(id: string, options: ReadOptions): Promise<State> {
    const key = this.#keyOf(id, options.namespace);
    if (options.version !== undefined) return this.#at(key, options.version);
    return living(key, await this.#reader.read(key));
  }

  async history(id: string, options: HistoryOptions): Promise<Page<HistoryEntry>> {
    const key = this.#keyOf(id, options.namespace);
    const limit = this.#limitOf(options.limit);
    const items = await this.#store.history(key, options.before ?? null, limit);
    if (items.length === 0 && (await this.#reader.read(key)) === null) throw notFound(key);
    return page(items, limit, (last) => last.version.toString());
  }

  async diff(id: string, options: DiffOptions): Promise<Diff> {
    const key = this.#keyOf(id, options.namespace);
    const to = options.to ?? (await this.#newest(key));
    const from = options.from ?? to - 1n;
    const [before, after] = await Promise.all([this.#dataAt(key, from), this.#dataAt(key, to)]);
    const patch = diffJson(before, after);
    return { id, from, to, patch, readable: describePatch(before, patch) };
  }

  async list(options: ListOptions): Promise<Page<StateSummary>> {
    const limit = this.#limitOf(options.limit);
    if (options.type !== undefined) checkType(options.type);
    if (options.scope !== undefined) checkScope(options.scope);
    if (options.phase !== undefined) checkPhase(options.phase);
    const namespace = checkNamespace(options.namespace ?? "default");
    const items = await this.#store.list({ ...options, namespace, limit });
    return page(items, limit, (last) => last.id);
  }

  async scope(scope: string, options: ScopeOptions): Promise<ScopeStatus> {
    const namespace = checkNamespace(options.namespace ?? "default");
    const status = await this.#store.scope(namespace, checkScope(scope));
    if (status !== null) return status;
    throw new AgentRuntimeError(
      "SCOPE_NOT_FOUND",
      `There is no scope ${quote(scope)} in namespace ${quote(namespace)}: nothing was ever written to it.`,
    );
  }

  async scopeStates(
    scope: string,
    options: ScopeOptions & {
      readonly step?: Step;
      readonly limit?: number;
      readonly after?: string;
    },
  ): Promise<Page<State>> {
    const { namespace, step: head } = await this.scope(scope, options);
    const limit = this.#limitOf(options.limit);
    if (options.step !== undefined && (options.step > head || options.step < 1n)) {
      throw new AgentRuntimeError(
        "STEP_NOT_FOUND",
        `Scope ${quote(scope)} has the steps 1 to ${head}, not ${options.step}.`,
      );
    }
    const states = await this.#store.scopeStates(namespace, scope, {
      step: options.step ?? null,
      after: options.after ?? null,
      limit,
    });
    return page(states.map(stateFrom), limit, (last) => last.id);
  }

  async #at(key: StateKey, version: Version): Promise<State> {
    const state = await this.#store.readVersion(key, version);
    if (state !== null) return living(key, state, true);
    const newest = await this.#newest(key);
    throw new AgentRuntimeError(
      "VERSION_NOT_FOUND",
      `${quote(key.id)} has no version ${version} that is kept; its newest is ${newest}.`,
    );
  }

  /** The document at a version; null before the first and where it was deleted. */
  async #dataAt(key: StateKey, version: Version): Promise<State["data"]> {
    if (version === 0n) return null;
    const state = await this.#store.readVersion(key, version);
    if (state !== null) return stateFrom(state).data;
    return (await this.#at(key, version)).data;
  }

  async #newest(key: StateKey): Promise<Version> {
    const state = await this.#reader.read(key);
    if (state === null) throw notFound(key);
    return state.version;
  }

  #keyOf(id: string, namespace = "default"): StateKey {
    return { namespace: checkNamespace(namespace), id: checkId(id, this.#limits.idCharacters) };
  }

  #limitOf(limit = Math.min(DEFAULT_PAGE, this.#limits.pageItems)): number {
    if (Number.isInteger(limit) && limit >= 1 && limit <= this.#limits.pageItems) return limit;
    throw new AgentRuntimeError(
      "INVALID_LIMIT",
      `A page has 1 to ${this.#limits.pageItems} items, not ${limit}.`,
    );
  }
}

function living(key: StateKey, stored: StoredState | null, atVersion = false): State {
  if (stored === null) throw notFound(key);
  if (stored.deleted || (!atVersion && isExpired(stored))) {
    throw new AgentRuntimeError(
      "GONE",
      `${quote(key.id)} was deleted at version ${stored.version}. History has what it was.`,
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

function isExpired(state: { readonly expiresAt: Date | null }): boolean {
  return state.expiresAt !== null && state.expiresAt.getTime() <= systemClock.now();
}

function page<Item>(
  items: readonly Item[],
  limit: number,
  next: (last: Item) => string,
): Page<Item> {
  return items.length < limit ? { items } : { items, next: next(items.at(-1)!) };
}
