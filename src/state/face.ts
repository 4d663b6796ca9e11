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

/** The outcome of one changeset of a batch: its result, or why it was refused. */
export type BatchOutcome =
  | { readonly ok: true; readonly committed: Committed }
  | { readonly ok: false; readonly error: AgentRuntimeError };

/**
 * The interface of the state manager. The library in this process and the HTTP client of a service
 * both implement it, and one contract suite tests both.
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
  /** Leaves a tombstone, one version up; the history is kept. */
  deleteState(id: string, options?: WriteOptions): Promise<Written>;
  /** The state; throws STATE_NOT_FOUND, or GONE if it was deleted. */
  getState(id: string, options?: ReadOptions): Promise<State>;
  /** All changes or none, as one step of one scope. */
  commit(changeset: Changeset, options?: CallOptions): Promise<Committed>;
  /**
   * Up to 1,000 independent changesets, which succeed or fail separately. Refusals include `facts.current`
   * and `facts.diff` until the states in them reach 8 MiB in total.
   */
  commitBatch(changesets: readonly Changeset[], options?: CallOptions): Promise<BatchOutcome[]>;
  /** What happened to a state, newest first. */
  history(id: string, options?: HistoryOptions): Promise<Page<HistoryEntry>>;
  /** What changed between two versions; by default, in the newest change. */
  diff(id: string, options?: DiffOptions): Promise<Diff>;
  /** Living states by id, without their documents. */
  list(options?: ListOptions): Promise<Page<StateSummary>>;
  /** Where a scope stands: HEAD, hold, quarantine, recent rollbacks. */
  scope(scope: string, options?: ScopeOptions): Promise<ScopeStatus>;
  /**
   * The states of a scope as they were right after a step (by default: as they are), by id. A page ends
   * before its limit once it has 8 MiB of documents.
   */
  scopeStates(scope: string, options?: ScopeStatesOptions): Promise<Page<State>>;
  /** Takes a scope back to an earlier step, by default one, by appending a step that restores it. */
  rollback(scope: string, options?: RollbackOptions): Promise<Rollback>;
  /** Stops a scope: it takes no writes until it is released. */
  hold(scope: string, options?: HoldOptions): Promise<void>;
  /** Ends the hold on a scope. */
  release(scope: string, options?: HoldOptions): Promise<void>;
  /** Work in stacks: newest first. */
  readonly tasks: TaskFace;
  /** Messages that could not be applied or sent. */
  readonly parked: ParkedFace;
  /** What happens to the pods that agents run in. */
  readonly lifecycle: LifecycleFace;
  /** Every change, each scope in step order; throws GAP if the cursor is older than what is kept. */
  watch(options?: WatchOptions): AsyncIterable<Change>;
  /** Looks for states that no legal history explains, and repairs what is proven if asked to. */
  fsck(options?: FsckOptions): Promise<FsckReport>;
  /** The open findings, newest first. */
  findings(options?: FindingsOptions): Promise<Findings>;
  /** Finishes everything it accepted, then stops. May be called twice. */
  close(): Promise<void>;
}
