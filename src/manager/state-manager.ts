import { withDeadline } from "../service/deadline.ts";
import type { LifoTaskProcessor, TaskHandler } from "../processor/lifo-task-processor.ts";
import type { ProcessorOptions } from "../processor/options.ts";
import { Processors } from "../processor/processors.ts";
import type { LifecycleFigures } from "../lifecycle/lifecycles.ts";
import type { Metrics } from "../service/metrics.ts";
import type { BatchOutcome, StateFace } from "../state/face.ts";
import type { Findings, FindingsOptions, FsckOptions, FsckReport } from "../state/fsck.ts";
import type { LifecycleFace } from "../state/fact-sink.ts";
import type { Json } from "../state/json.ts";
import type { MessageBus } from "../state/message-bus.ts";
import type { ParkedFace } from "../state/parked-face.ts";
import type { FeedRow, ReadReplica } from "../state/ports.ts";
import type { HoldOptions, Rollback, RollbackOptions } from "../state/rollback.ts";
import type {
  CallOptions,
  ChangeRequest,
  Changeset,
  Diff,
  DiffOptions,
  HistoryOptions,
  ListOptions,
  ReadOptions,
  ScopeOptions,
  ScopeStatesOptions,
  WatchOptions,
  WriteOptions,
} from "../state/request.ts";
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
import type { TaskManager } from "../tasks/task-manager.ts";
import { commitAll } from "./batch.ts";
import { closed } from "./batcher.ts";
import { BoundedReader } from "./bounded-reader.ts";
import { formatCursor } from "../state/cursor.ts";
import type { Fsck } from "./fsck.ts";
import type { ManagerOptions } from "./manager-options.ts";
import type { HowTasksDo } from "./open-tasks.ts";
import { joinParts } from "./parts.ts";
import type { Parts } from "./parts.ts";
import { prepareChangeset, prepareWrite } from "./prepare.ts";
import type { Queries, ReadState } from "./queries.ts";
import type { Reader } from "./reader.ts";
import { holdScope, releaseScope, rollBack } from "./roll-back.ts";
import type { SharedStatus } from "./shared-reads.ts";
import { watchChanges } from "./watch.ts";

const BUSY_WRITES = 64;

/** The state of agents, tasks and whatever they need, in one database: versioned, durable, watched. */
export class StateManager implements StateFace {
  readonly metrics: Metrics;
  readonly tasks: TaskManager;
  readonly parked: ParkedFace;
  readonly lifecycle: LifecycleFace;
  readonly #options: ManagerOptions;
  readonly #parts: Parts;
  readonly #queries: Queries;
  readonly #processors: Processors;
  readonly #closed = new AbortController();
  #closing: Promise<void> | undefined;

  constructor(options: ManagerOptions) {
    this.#options = options;
    this.#parts = joinParts(options, {
      onWritten: () => this.#written(),
      commit: (changeset, call) => this.commit(changeset, call),
      getState: (id, read) => this.getState(id, read),
    });
    this.#queries = this.#parts.queries;
    this.metrics = this.#parts.metrics;
    this.tasks = this.#parts.tasks;
    this.parked = this.#parts.parked;
    this.lifecycle = this.#parts.lifecycle;
    const { leaseThread, log } = options;
    this.#processors = new Processors({ tasks: this.tasks, states: this, leaseThread, log });
    for (const loop of this.#parts.loops) loop.start();
    this.#parts.hearOthers();
  }

  /**
   * Creates a state or replaces its document.
   *
   * @param id 1 to 200 characters of printable Unicode without `/`.
   * @param type `task`, `agent`, `lifecycle`, `shared` or a type of your own; it never changes.
   * @param data any JSON value, at most 1 MiB and 64 levels.
   * @returns the new version and step; both are on disk.
   * @throws {AgentRuntimeError} VERSION_CONFLICT (with `facts.current` and `facts.diff`),
   *   ALREADY_EXISTS, STEP_CONFLICT, ILLEGAL_TRANSITION, INVALID_*, PAYLOAD_TOO_LARGE,
   *   IDEMPOTENCY_KEY_REUSED, SCOPE_ON_HOLD; UNAVAILABLE and CANCELED say in
   *   `facts.mayHaveHappened` whether the write may have happened.
   * @see docs/errors.md
   */
  updateState(id: string, type: string, data: Json, options?: WriteOptions): Promise<Written> {
    const expiresAt = options?.expiresAt;
    const change = { op: "update", id, type, data } as const;
    return this.#one(expiresAt === undefined ? change : { ...change, expiresAt }, options);
  }

  /** RFC 7396: what the patch names is replaced, what it sets to null is removed. */
  mergeState(id: string, patch: Json, options?: WriteOptions): Promise<Written> {
    return this.#one({ op: "merge", id, patch }, options);
  }

  /** RFC 6902: all operations apply, or none (INVALID_PATCH). */
  patchState(
    id: string,
    patch: readonly PatchOperation[],
    options?: WriteOptions,
  ): Promise<Written> {
    return this.#one({ op: "patch", id, patch }, options);
  }

  /** Appends to the array at a JSON Pointer; costs what it appends, however long the array is. */
  appendState(
    id: string,
    path: string,
    items: readonly Json[],
    options?: WriteOptions,
  ): Promise<Written> {
    return this.#one({ op: "append", id, path, items }, options);
  }

  /** Leaves a tombstone, one version up. */
  deleteState(id: string, options?: WriteOptions): Promise<Written> {
    return this.#one({ op: "delete", id }, options);
  }

  /** All changes or none, as one step of one scope. */
  commit(changeset: Changeset, options: CallOptions = {}): Promise<Committed> {
    return this.#commit(changeset, options, this.#parts.reader);
  }

  /** Independent changesets, which succeed or fail separately. */
  async commitBatch(
    changesets: readonly Changeset[],
    options: CallOptions = {},
  ): Promise<BatchOutcome[]> {
    const { changesetChanges, dataBytes } = this.#parts.limits;
    const reader = new BoundedReader(this.#parts.reader, dataBytes);
    return commitAll(changesets, changesetChanges, (changeset) =>
      this.#commit(changeset, options, reader),
    );
  }

  /**
   * The state, deeply frozen.
   *
   * @throws {AgentRuntimeError} STATE_NOT_FOUND, GONE (it was deleted), VERSION_NOT_FOUND
   */
  getState(id: string, options?: ReadOptions): Promise<State> {
    return this.#queries.hit(id, options) ?? this.#fetch(id, options, ({ state }) => state);
  }

  /** The same, with the copy that answered. */
  async readState(id: string, options: ReadOptions): Promise<ReadState> {
    const hit = this.#queries.hit(id, options);
    if (hit !== undefined) return { state: await hit, servedBy: "l1" };
    return await this.#fetch(id, options, (read) => read);
  }

  /** The replica that serves reads; null if only main does. */
  get replica(): ReadReplica | null {
    return this.#options.store.replica;
  }

  /** The status of the cache shared with other processes; null if there is none. */
  get sharedCache(): SharedStatus | null {
    return this.#parts.shared?.status ?? null;
  }

  /** The message bus; null if there is none. */
  get bus(): MessageBus | null {
    return this.#options.bus ?? null;
  }

  /** How incoming messages are interpreted. */
  get messageKinds(): Parts["kinds"] {
    return this.#parts.kinds;
  }

  /** What facts of pods came to. */
  get lifecycleFigures(): LifecycleFigures {
    return this.#parts.lifecycles.figures;
  }

  /** Where the feed stands: a watch from this cursor sees everything committed from now on. */
  async feedHead(): Promise<string> {
    const { lineage, head } = await this.#options.store.feed.bounds();
    return formatCursor(lineage, head);
  }

  /** What happened to a state, newest first. */
  history(id: string, options: HistoryOptions = {}): Promise<Page<HistoryEntry>> {
    return this.#read("history", options, () => this.#queries.history(id, options));
  }

  /** What changed between two versions; by default, in the newest change. */
  diff(id: string, options: DiffOptions = {}): Promise<Diff> {
    return this.#read("diff", options, () => this.#queries.diff(id, options));
  }

  /** Living states by id, without their documents. */
  list(options: ListOptions = {}): Promise<Page<StateSummary>> {
    return this.#read("list", options, () => this.#queries.list(options));
  }

  /** Where a scope stands: HEAD, hold, quarantine, recent rollbacks. */
  scope(scope: string, options: ScopeOptions = {}): Promise<ScopeStatus> {
    return this.#read("scope", options, () => this.#queries.scope(scope, options));
  }

  /** The states of a scope as they were right after a step; a page ends once it has 8 MiB of documents. */
  scopeStates(scope: string, options: ScopeStatesOptions = {}): Promise<Page<State>> {
    return this.#read("scope_states", options, () => this.#queries.scopeStates(scope, options));
  }

  /**
   * Takes a scope back to an earlier step by appending one that restores it; history only grows.
   *
   * One step back comes from the rollback database, if there is one, proven by its digests; an earlier
   * step comes from history. The undone steps are quarantined: kept, and never restored.
   *
   * @param options.toStep default: the newest good step before HEAD; two calls in a row go two steps back.
   * @throws {AgentRuntimeError} SCOPE_NOT_FOUND, STEP_NOT_FOUND, STEP_QUARANTINED, NO_EARLIER_STEP,
   *   IDEMPOTENCY_KEY_REUSED; and with the plan in `facts.plan`: STEP_CONFLICT, ROLLBACK_LAGS,
   *   TERMINAL_PUBLISHED, COPY_DIVERGES, HISTORY_BROKEN, HISTORY_PRUNED. UNAVAILABLE and CANCELED say in
   *   `facts.mayHaveHappened` whether the rollback may have happened.
   * @see docs/rollback.md
   */
  async rollback(scope: string, options: RollbackOptions = {}): Promise<Rollback> {
    const done = await this.#order("rollback", options, (onSent) =>
      rollBack(this.#parts.recovery, scope, { ...options, onSent }),
    );
    this.#written();
    return done;
  }

  /** Refuses writes to a scope, and promotes nothing of it, until it is released. */
  hold(scope: string, options: HoldOptions = {}): Promise<void> {
    return this.#order("hold", options, (onSent) => {
      onSent();
      return holdScope(this.#parts.recovery, scope, options);
    });
  }

  /** Ends the hold on a scope. */
  release(scope: string, options: HoldOptions = {}): Promise<void> {
    return this.#order("release", options, (onSent) => {
      onSent();
      return releaseScope(this.#parts.recovery, scope, options);
    });
  }

  /**
   * Every change after a cursor, each scope in step order; ends when the signal aborts or the manager closes.
   *
   * @throws {AgentRuntimeError} GAP: changes after the cursor are no longer kept; INVALID_CURSOR.
   */
  watch(options: WatchOptions = {}): AsyncIterable<Change> {
    return watchChanges(
      {
        store: this.#options.store,
        tail: this.#parts.tail,
        changes: this.#parts.changes,
        closed: this.#closed.signal,
      },
      options,
    );
  }

  /** A row of the feed as a change, with its document. */
  readChange(row: FeedRow): Promise<Change> {
    return this.#parts.changes.read(row, "", true);
  }

  /**
   * Works on tasks in this process, the newest of each stack first, until it is stopped or the manager closes.
   *
   * @see docs/tasks.md
   */
  startLifoTaskProcessor(handler: TaskHandler, options?: ProcessorOptions): LifoTaskProcessor {
    if (this.#closing !== undefined) throw closed();
    return this.#processors.start(handler, options);
  }

  /** Whether so many writes wait for main that background work should let them go first. */
  get isBusy(): boolean {
    return this.#parts.batcher.length > BUSY_WRITES;
  }

  /**
   * Looks for states that no legal history explains, and returns what is open or was settled.
   *
   * @throws {AgentRuntimeError} INVALID_REQUEST: there is no such check; INVALID_SCOPE.
   */
  fsck(options: FsckOptions = {}): Promise<FsckReport> {
    return this.#read("fsck", options, () => this.#parts.fsck.run(options));
  }

  /** The open findings, newest first, and how the latest runs went. */
  findings(options: FindingsOptions = {}): Promise<Findings> {
    return this.#read("findings", options, () => this.#parts.fsck.findings(options));
  }

  /** The confusion detector's status. */
  get detector(): Pick<Fsck, "isOn" | "figures"> {
    return this.#parts.fsck;
  }

  /** How deep the stacks are, how long their lowest tasks wait, and what this process did with tasks. */
  get taskFigures(): HowTasksDo {
    return this.#parts.howTasksDo();
  }

  /** The database's identity and version; throws UNAVAILABLE if it does not answer. */
  describe(): Promise<{ readonly server: string; readonly version: string }> {
    return this.#options.store.describe();
  }

  /** Finishes everything it accepted, then stops. May be called twice. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    await this.#processors.stop();
    await this.#options.onClosing?.();
    await Promise.all(this.#parts.loops.map((loop) => loop.stop()));
    await this.#parts.writer.drain();
    this.#closed.abort();
    await this.#parts.tail.close();
    await this.#options.store.close();
    await this.#options.onClosed?.();
    this.#parts.recovery.cache.clear(); // Nobody would tell it of changes any more.
  }

  #written(): void {
    this.#parts.tail.poke();
    this.#options.store.changeBell?.ring();
    this.#options.onWritten?.();
  }

  #one(change: ChangeRequest, options: WriteOptions = {}): Promise<Written> {
    const { operations, writer, limits } = this.#parts;
    const run = (trace: string | null): Promise<Written> =>
      writer.writeOne(prepareWrite(change, options, limits, trace), options);
    return operations.observe(change.op, run, options.traceparent);
  }

  #commit(
    changeset: Changeset,
    options: CallOptions,
    reader: Pick<Reader, "read">,
  ): Promise<Committed> {
    const { operations, writer, limits } = this.#parts;
    const run = (trace: string | null): Promise<Committed> =>
      writer.write(prepareChangeset(changeset, limits, trace), options, reader);
    return operations.observe("commit", run, options.traceparent);
  }

  #fetch<T>(id: string, options: ReadOptions = {}, answer: (read: ReadState) => T): Promise<T> {
    return this.#read("get", options, () => this.#queries.get(id, options, answer));
  }

  /** A read that ends in its caller's time, whatever the database does. */
  #read<T>(operation: string, call: CallOptions = {}, run: () => Promise<T>): Promise<T> {
    const { signal, timeoutMs } = call;
    if (signal === undefined && timeoutMs === undefined)
      return this.#parts.operations.observe(operation, run);
    return this.#parts.operations.observe(operation, () =>
      withDeadline({ ...call, what: "The read" }, run),
    );
  }

  /** What concerns a scope as a whole: who stops waiting is told whether it may have happened. */
  #order<T>(
    operation: string,
    call: CallOptions,
    run: (onSent: () => void) => Promise<T>,
  ): Promise<T> {
    if (this.#closing !== undefined) return Promise.reject(closed());
    let isSent = false;
    const deadline = { ...call, what: `The ${operation}`, mayHaveHappened: () => isSent };
    return this.#parts.operations.observe(operation, () =>
      withDeadline(deadline, () => run(() => (isSent = true))),
    );
  }
}
