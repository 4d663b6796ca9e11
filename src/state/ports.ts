import type { Json } from "./json.ts";
import type { FsckStore } from "./fsck-ports.ts";
import type { Recovery } from "./recovery-ports.ts";
import type { ListOptions } from "./request.ts";
import type {
  ChangeKind,
  HistoryEntry,
  ScopeStatus,
  State,
  StateSummary,
  Step,
  Version,
} from "./state.ts";

/** One change, checked and serialised, ready for the database. */
export interface PreparedChange {
  readonly id: string;
  /** Null where the write does not say: a delta or a delete. */
  readonly type: string | null;
  readonly op: "update" | "delta" | "delete";
  /** JSON text: the document, or the delta (delta.ts); null for a delete. */
  readonly body: string | null;
  readonly phase: string | null;
  readonly expectedVersion: Version | null;
  /** A delta computed from two documents holds on this version only. */
  readonly basedOn: Version | null;
  /** Null keeps it as it is; "never" takes an earlier wish back. */
  readonly expiresAt: Date | "never" | null;
}

/** A changeset, checked and serialised: committed whole or not at all. */
export interface PreparedUnit {
  readonly namespace: string;
  readonly scope: string | null;
  readonly changes: readonly PreparedChange[];
  readonly expectedStep: Step | null;
  readonly actor: string | null;
  readonly cause: string | null;
  readonly idempotencyKey: string | null;
}

/** What the database answers to one change of a unit. */
export interface ChangeRow {
  /** Null: committed. Otherwise why not; REPLAYED, REBASE and UNIT_REFUSED are for the writer alone. */
  readonly code: string | null;
  readonly detail: string | null;
  readonly type: string;
  readonly scope: string;
  /** The version it has now; 0 where it does not exist. */
  readonly version: Version;
  readonly step: Step;
  readonly phase: string | null;
  readonly digest: string;
  readonly created: boolean;
  readonly at: Date;
}

/** A state as the database holds it, its document still text; null for a tombstone. */
export interface StoredState extends Omit<State, "data"> {
  readonly deleted: boolean;
  readonly text: string | null;
}

/** Where the feed stands after a change. Ordered by its four parts. */
export interface FeedPosition {
  readonly xid: bigint;
  readonly scopeNo: bigint;
  readonly step: bigint;
  readonly position: number;
}

/** One change as the log holds it. */
export interface FeedRow {
  readonly at: FeedPosition;
  readonly stateNo: bigint;
  readonly namespace: string;
  readonly scope: string;
  readonly id: string;
  readonly type: string;
  readonly step: Step;
  readonly version: Version;
  readonly kind: ChangeKind;
  readonly stored: "full" | "delta";
  readonly phase: string | null;
  readonly cause: string | null;
  readonly actor: string | null;
  readonly digest: string;
  readonly committedAt: Date;
  /** JSON text of the document or of the delta; null for a delete. */
  readonly body: string | null;
}

/** Between which positions the feed can be read. */
export interface FeedBounds {
  /** Names the history that cursors belong to; another one means: restored into another cluster. */
  readonly lineage: string;
  /** Everything before this position is settled. */
  readonly head: FeedPosition;
  /** Changes up to here were pruned; null: none. */
  readonly floor: FeedPosition | null;
}

/** What one state's key is. */
export interface StateKey {
  readonly namespace: string;
  readonly id: string;
}

/**
 * Where states live. One implementation a database, one contract for all.
 *
 * Every method throws UNAVAILABLE where the database cannot be reached; a commit then says in
 * `facts.mayHaveHappened` whether it may have happened.
 */
export interface StateStore {
  /** How many batches can be committed side by side. */
  readonly lanes: number;
  /** Bytes of documents that one batch may hold; a larger changeset goes alone. */
  readonly batchBytes: number;
  /** Commits units in one transaction, each with its own fate; rows in the order of their changes. */
  commitBatch(
    lane: number,
    units: readonly PreparedUnit[],
    reserve: boolean,
  ): Promise<ChangeRow[][]>;
  /**
   * From now on, what this store committed so far counts as another writer's in `feed.foreign`: for
   * commits whose answer did not come.
   */
  disown(): void;
  readStates(keys: readonly StateKey[]): Promise<(StoredState | null)[]>;
  readVersion(key: StateKey, version: Version): Promise<StoredState | null>;
  readStep(namespace: string, scope: string, step: Step): Promise<(ChangeRow & { id: string })[]>;
  list(options: ListOptions & { namespace: string; limit: number }): Promise<StateSummary[]>;
  history(key: StateKey, before: Version | null, limit: number): Promise<HistoryEntry[]>;
  scope(namespace: string, scope: string): Promise<ScopeStatus | null>;
  /** So many of them, or a page of bytes (page.ts). */
  scopeStates(namespace: string, scope: string, page: ScopePage): Promise<StoredState[]>;
  readonly feed: ChangeFeed;
  readonly upkeep: Upkeep;
  readonly recovery: Recovery;
  readonly fsck: FsckStore;
  /** Which server and version answers; throws where none does. */
  describe(): Promise<{ readonly server: string; readonly version: string }>;
  close(): Promise<void>;
}

export interface ScopePage {
  readonly step: Step | null;
  readonly after: string | null;
  readonly limit: number;
}

/** The changes in commit order. */
export interface ChangeFeed {
  bounds(): Promise<FeedBounds>;
  /** Settled changes after a position, in feed order: so many, or a page of bytes (page.ts). */
  read(after: FeedPosition, limit: number): Promise<FeedRow[]>;
  /** What writers other than this store changed since a position: which states, up to which version. */
  foreign(after: FeedPosition, limit: number): Promise<ForeignChanges>;
  /** The document of a state at a version; undefined where history no longer holds it. */
  document(stateNo: bigint, version: Version): Promise<Json | undefined>;
}

export interface ForeignChanges {
  readonly changed: readonly (StateKey & { readonly version: Version })[];
  /** False where more than the limit happened: anything may have changed. */
  readonly complete: boolean;
  /** Where to go on. */
  readonly next: FeedPosition;
}

/** What keeps the store small. */
export interface Upkeep {
  /** Forgets changes from before a moment, a bounded number a call; how many it forgot. */
  prune(before: Date, limit: number): Promise<number>;
  expired(limit: number): Promise<(StateKey & { readonly version: Version })[]>;
}
