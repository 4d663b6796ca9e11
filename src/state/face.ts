import type { Json } from "./json.ts";
import type {
  CallOptions,
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
} from "./request.ts";
import type { AgentRuntimeError } from "./errors.ts";
import type { HoldOptions, Rollback, RollbackOptions } from "./rollback.ts";
import type { LifecycleFace } from "./fact-sink.ts";
import type { ParkedFace } from "./parked-face.ts";
import type { TaskFace } from "./task-face.ts";
import type { Findings, FindingsOptions, FsckOptions, FsckReport } from "./fsck.ts";
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
} from "./state.ts";

/** The fate of one write of a batch: its result, or why it was refused. */
export type BatchOutcome =
  | { readonly ok: true; readonly committed: Committed }
  | { readonly ok: false; readonly error: AgentRuntimeError };

/**
 * The face of the state manager. The library in this process and the HTTP client to a service
 * both have it, and one contract suite proves both.
 */
export interface StateFace {
  /** Creates a state or replaces its document. */
  updateState(id: string, type: string, data: Json, options?: WriteOptions): Promise<Written>;
  /** RFC 7396 merge patch. */
  mergeState(id: string, patch: Json, options?: WriteOptions): Promise<Written>;
  /** RFC 6902 JSON Patch. */
  patchState(
    id: string,
    patch: readonly PatchOperation[],
    options?: WriteOptions,
  ): Promise<Written>;
  /** Appends to the array at a JSON Pointer. */
  appendState(
    id: string,
    path: string,
    items: readonly Json[],
    options?: WriteOptions,
  ): Promise<Written>;
  deleteState(id: string, options?: WriteOptions): Promise<Written>;
  /** The state, or throws STATE_NOT_FOUND; GONE where it was deleted. */
  getState(id: string, options?: ReadOptions): Promise<State>;
  /** All changes or none, one step of one scope. */
  commit(changeset: Changeset, options?: CallOptions): Promise<Committed>;
  /**
   * Up to 1,000 independent changesets; each has its own fate. Of what is refused, `facts.current` and
   * `facts.diff` are there until the states in them have 8 MiB together.
   */
  commitBatch(changesets: readonly Changeset[], options?: CallOptions): Promise<BatchOutcome[]>;
  history(id: string, options?: HistoryOptions): Promise<Page<HistoryEntry>>;
  diff(id: string, options?: DiffOptions): Promise<Diff>;
  list(options?: ListOptions): Promise<Page<StateSummary>>;
  scope(scope: string, options?: ScopeOptions): Promise<ScopeStatus>;
  /**
   * The states of a scope as they were right after a step (unsaid: as they are), by id. A page ends
   * sooner than its limit with the state with which it has 8 MiB of documents.
   */
  scopeStates(scope: string, options?: ScopeStatesOptions): Promise<Page<State>>;
  /** Takes a scope back to an earlier step, by appending one that restores it; unsaid, one step. */
  rollback(scope: string, options?: RollbackOptions): Promise<Rollback>;
  /** Stops a scope: it takes no writes until it is released. */
  hold(scope: string, options?: HoldOptions): Promise<void>;
  release(scope: string, options?: HoldOptions): Promise<void>;
  /** Work in stacks: newest first. */
  readonly tasks: TaskFace;
  /** Updates that came over the message bus and could never be applied. */
  readonly parked: ParkedFace;
  /** What happens to the pods that agents run in. */
  readonly lifecycle: LifecycleFace;
  /** Every change, each scope in step order; throws GAP where the cursor is older than what is kept. */
  watch(options?: WatchOptions): AsyncIterable<Change>;
  /** Looks for states that no legal history explains; says what could be done, or does what is proven. */
  fsck(options?: FsckOptions): Promise<FsckReport>;
  /** What was found and is not settled, newest first. */
  findings(options?: FindingsOptions): Promise<Findings>;
  /** Finishes what was accepted, then stops. Safe twice. */
  close(): Promise<void>;
}
