import type { LeaseThreadPlace } from "../processor/lease-thread.ts";
import type { LifoTaskProcessor, TaskHandler } from "../processor/lifo-task-processor.ts";
import type { ProcessorOptions } from "../processor/options.ts";
import { Processors } from "../processor/processors.ts";
import { definedOnly } from "../state/defined.ts";
import type { BatchOutcome, StateFace } from "../state/face.ts";
import type { Findings, FindingsOptions, FsckOptions, FsckReport } from "../state/fsck.ts";
import type { Json } from "../state/json.ts";
import type {
  CallOptions,
  Changeset,
  Diff,
  DiffOptions,
  FreshnessOptions,
  HistoryOptions,
  ListOptions,
  ReadOptions,
  ScopeOptions,
  ScopeStatesOptions,
  WatchOptions,
  WriteOptions,
} from "../state/request.ts";
import type { HoldOptions, Rollback, RollbackOptions } from "../state/rollback.ts";
import type {
  Change,
  Committed,
  HistoryEntry,
  Page,
  PatchOperation,
  ScopeStatus,
  State,
  StateSummary,
  Written,
} from "../state/state.ts";
import { formatSessionToken, parseSessionToken, rememberVersion } from "../state/session-token.ts";
import { sendBatch } from "./batch.ts";
import {
  decode,
  pageOf,
  toCommitted,
  toDiff,
  toFindings,
  toFsckReport,
  toHistoryEntry,
  toRollback,
  toScopeStatus,
  toState,
  toSummary,
  toWritten,
} from "./decode.ts";
import {
  changesetBody,
  dataText,
  queryOf,
  scopePath,
  statePath,
  updateBody,
  writeQuery,
} from "./encode.ts";
import { HttpLifecycle } from "./http-lifecycle.ts";
import { HttpParked } from "./http-parked.ts";
import { HttpTasks } from "./http-tasks.ts";
import { SessionMemory } from "./session-memory.ts";
import { Transport, clientClosed } from "./transport.ts";
import type { Call, TransportOptions } from "./transport.ts";
import { watchService } from "./watch.ts";

/** Where the service is and who calls. */
export interface HttpStateClientOptions extends TransportOptions {
  /** Milliseconds that a watch keeps trying to reach a service that is gone; default 60,000. */
  readonly watchPatienceMs?: number;
}

/**
 * The state manager of a running service, over HTTP: the same face, errors and guarantees as the
 * library in this process.
 *
 * One client is one session: it never reads less than what it wrote or saw.
 */
export class HttpStateClient implements StateFace {
  readonly tasks: HttpTasks;
  readonly parked: HttpParked;
  readonly lifecycle: HttpLifecycle;
  readonly #transport: Transport;
  readonly #memory = new SessionMemory();
  readonly #watchPatienceMs: number;
  readonly #inFlight = new Set<Promise<unknown>>();
  readonly #processors: Processors;
  readonly #closing = new AbortController();
  #closed: Promise<void> | undefined;

  private constructor(options: HttpStateClientOptions) {
    this.#transport = new Transport(options);
    this.#watchPatienceMs = options.watchPatienceMs ?? 60_000;
    this.tasks = new HttpTasks((call, sent) => this.#call(call, sent), this.#closing.signal);
    this.parked = new HttpParked((call, sent) => this.#call(call, sent));
    this.lifecycle = new HttpLifecycle((call, sent) => this.#call(call, sent));
    const leaseThread = leaseThreadOf(options);
    this.#processors = new Processors({ tasks: this.tasks, states: this, leaseThread });
  }

  /** A client; it connects at its first call. */
  static open(options: HttpStateClientOptions): HttpStateClient {
    return new HttpStateClient(options);
  }

  async updateState(
    id: string,
    type: string,
    data: Json,
    options: WriteOptions = {},
  ): Promise<Written> {
    const body = updateBody({ type, data }, options);
    return await this.#write(id, options, { method: "PUT", path: statePath(id), body });
  }

  async mergeState(id: string, patch: Json, options: WriteOptions = {}): Promise<Written> {
    return await this.#write(id, options, {
      method: "PATCH",
      path: statePath(id) + writeQuery(options),
      body: dataText(patch),
      mediaType: "application/merge-patch+json",
    });
  }

  async patchState(
    id: string,
    patch: readonly PatchOperation[],
    options: WriteOptions = {},
  ): Promise<Written> {
    return await this.#write(id, options, {
      method: "PATCH",
      path: statePath(id) + writeQuery(options),
      body: dataText(patch),
      mediaType: "application/json-patch+json",
    });
  }

  async appendState(
    id: string,
    path: string,
    items: readonly Json[],
    options: WriteOptions = {},
  ): Promise<Written> {
    const { namespace, scope, expectedStep, actor, cause, idempotencyKey } = options;
    const { phase, expectedVersion } = options;
    const given = definedOnly({ phase, expectedVersion });
    const change = { op: "append", id, path, items, ...given } as const;
    const step = definedOnly({ namespace, scope, expectedStep, actor, cause, idempotencyKey });
    // Not as a JSON Patch, which has an operation for each item, and so has a limit.
    const committed = await this.commit({ ...step, changes: [change] }, options);
    return committed.changes[0]!;
  }

  async deleteState(id: string, options: WriteOptions = {}): Promise<Written> {
    const path = statePath(id) + writeQuery(options);
    return await this.#write(id, options, { method: "DELETE", path });
  }

  async getState(id: string, options: ReadOptions = {}): Promise<State> {
    const { version, consistency, minVersion } = options;
    const query = queryOf({ version, consistency, minVersion });
    const path = statePath(id) + query;
    const session = this.#memory.tokenFor(options.namespace, id);
    const state = decode(await this.#get(path, options, session), toState);
    if (version === undefined) this.#memory.note(options.namespace, state);
    return state;
  }

  async commit(changeset: Changeset, options: CallOptions = {}): Promise<Committed> {
    // The path of a step names its scope; without one, a batch of one finds it.
    if (changeset.scope === undefined) return await this.#commitAlone(changeset, options);
    const path = `${scopePath(changeset.scope)}/steps`;
    const { scope: _, ...step } = changeset;
    const call = { ...options, namespace: changeset.namespace };
    const body = changesetBody(step);
    const committed = decode(await this.#call(call, { method: "POST", path, body }), toCommitted);
    this.#noteAll(changeset.namespace, committed);
    return committed;
  }

  async commitBatch(
    changesets: readonly Changeset[],
    options: CallOptions = {},
  ): Promise<BatchOutcome[]> {
    const outcomes = await sendBatch(changesets, (namespace, body) => {
      const call = { method: "POST", path: "/v1/states:batch", body } as const;
      return this.#call({ ...options, namespace }, call);
    });
    for (const [at, outcome] of outcomes.entries()) {
      if (outcome.ok) this.#noteAll(changesets[at]!.namespace, outcome.committed);
    }
    return outcomes;
  }

  async history(id: string, options: HistoryOptions = {}): Promise<Page<HistoryEntry>> {
    const { limit, before, consistency } = options;
    const path = `${statePath(id)}/history${queryOf({ limit, before, consistency })}`;
    const session = this.#sessionOf(options, this.#memory.tokenFor(options.namespace, id));
    return decode(await this.#get(path, options, session), pageOf(toHistoryEntry));
  }

  async diff(id: string, options: DiffOptions = {}): Promise<Diff> {
    const { from, to, consistency } = options;
    const path = `${statePath(id)}/diff${queryOf({ from, to, consistency })}`;
    const session = this.#sessionOf(options, this.#memory.tokenFor(options.namespace, id));
    return decode(await this.#get(path, options, session), toDiff);
  }

  async list(options: ListOptions = {}): Promise<Page<StateSummary>> {
    const { type, scope, phase, idPrefix, limit, after, consistency } = options;
    const query = queryOf({ type, scope, phase, idPrefix, limit, after, consistency });
    const session = this.#sessionOf(options, this.#memory.tokenForMany(options.namespace, scope));
    return decode(await this.#get(`/v1/states${query}`, options, session), pageOf(toSummary));
  }

  async scope(scope: string, options: ScopeOptions = {}): Promise<ScopeStatus> {
    const path = scopePath(scope) + queryOf({ consistency: options.consistency });
    const session = this.#sessionOf(options, this.#memory.tokenForMany(options.namespace, scope));
    return decode(await this.#get(path, options, session), toScopeStatus);
  }

  async scopeStates(scope: string, options: ScopeStatesOptions = {}): Promise<Page<State>> {
    const { step, limit, after, consistency } = options;
    const path = `${scopePath(scope)}/states${queryOf({ step, limit, after, consistency })}`;
    const session = this.#sessionOf(options, this.#memory.tokenForMany(options.namespace, scope));
    return decode(await this.#get(path, options, session), pageOf(toState));
  }

  async rollback(scope: string, options: RollbackOptions = {}): Promise<Rollback> {
    const { toStep, expectedStep, reason, actor, idempotencyKey, dryRun, source } = options;
    const order = {
      toStep: toStep?.toString(),
      expectedStep: expectedStep?.toString(),
      reason,
      actor,
      idempotencyKey,
      dryRun,
      source,
    };
    const done = decode(await this.#order(scope, "rollback", { options, order }), toRollback);
    if (!done.dryRun) {
      for (const { id, newVersion: version } of done.states) {
        this.#memory.note(options.namespace, { namespace: done.namespace, id, version });
      }
    }
    return done;
  }

  async hold(scope: string, options: HoldOptions = {}): Promise<void> {
    const { reason, actor } = options;
    await this.#order(scope, "hold", { options, order: { reason, actor } });
  }

  async release(scope: string, options: HoldOptions = {}): Promise<void> {
    const { reason, actor } = options;
    await this.#order(scope, "release", { options, order: { reason, actor } });
  }

  async fsck(options: FsckOptions = {}): Promise<FsckReport> {
    const { scope, checks, plan, fix } = options;
    const body = JSON.stringify({ scope, checks, plan, fix });
    return decode(
      await this.#call(options, { method: "POST", path: "/v1/fsck", body }),
      toFsckReport,
    );
  }

  async findings(options: FindingsOptions = {}): Promise<Findings> {
    const { scope, all, limit, before } = options;
    const path = `/v1/fsck${queryOf({ scope, all, limit, before })}`;
    return decode(await this.#call(options, { method: "GET", path }), toFindings);
  }

  watch(options: WatchOptions = {}): AsyncIterable<Change> {
    const source = { transport: this.#transport, patienceMs: this.#watchPatienceMs };
    return watchService(source, options, this.#closing.signal);
  }

  /**
   * Works on tasks in this process, of each stack the newest first, until it is stopped or this closes.
   *
   * @see docs/tasks.md
   */
  startLifoTaskProcessor(handler: TaskHandler, options?: ProcessorOptions): LifoTaskProcessor {
    if (this.#closed !== undefined) throw clientClosed();
    return this.#processors.start(handler, options);
  }

  /** Stops its processors, and ends what is under way. Safe twice. */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    await this.#processors.stop();
    this.#closing.abort();
    await Promise.allSettled(this.#inFlight);
  }

  /** What is asked of a scope as a whole. */
  async #order(
    scope: string,
    what: "rollback" | "hold" | "release",
    { options, order }: { readonly options: HoldOptions; readonly order: object },
  ): Promise<unknown> {
    const path = `${scopePath(scope)}/${what}`;
    return await this.#call(options, { method: "POST", path, body: JSON.stringify(order) });
  }

  #get(
    path: string,
    options: CallOptions & { readonly namespace?: string | undefined },
    session: string | undefined,
  ): Promise<unknown> {
    const headers = session === undefined ? {} : { "session-token": session };
    return this.#call(options, { method: "GET", path, headers });
  }

  /** What this session knows, and what the caller knows beside it. */
  #sessionOf({ session = [] }: FreshnessOptions, own: string | undefined): string | undefined {
    if (session.length === 0) return own;
    const known = own === undefined ? [] : parseSessionToken(own);
    return formatSessionToken(session.reduce(rememberVersion, known));
  }

  async #write(id: string, options: WriteOptions, call: Call): Promise<Written> {
    const written = decode(await this.#call(options, call), toWritten);
    this.#memory.note(options.namespace, { ...written, id });
    return written;
  }

  async #commitAlone(changeset: Changeset, options: CallOptions): Promise<Committed> {
    const [outcome] = await this.commitBatch([changeset], options);
    if (outcome!.ok) return outcome!.committed;
    throw outcome!.error;
  }

  #noteAll(namespace: string | undefined, committed: Committed): void {
    for (const written of committed.changes) this.#memory.note(namespace, written);
  }

  async #call(
    options: CallOptions & { readonly namespace?: string | undefined },
    call: Call,
  ): Promise<unknown> {
    if (this.#closing.signal.aborted) throw clientClosed();
    const { signal, timeoutMs, namespace, traceparent } = options;
    const given = definedOnly({ signal, timeoutMs, traceparent });
    const sent = this.#transport.send({ ...call, namespace, ...given });
    this.#inFlight.add(sent);
    try {
      return await sent;
    } finally {
      this.#inFlight.delete(sent);
    }
  }
}

/** A thread has a way to the service of its own; none where the caller brings theirs. */
function leaseThreadOf(options: HttpStateClientOptions): LeaseThreadPlace | undefined {
  const { url, token, namespace, timeoutMs } = options;
  if (options.fetch !== undefined) return undefined;
  const data: TransportOptions = {
    url,
    ...(token === undefined ? {} : { token }),
    ...(namespace === undefined ? {} : { namespace }),
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
  };
  return { entry: new URL("./lease-thread.js", import.meta.url), data };
}
