import type { Bell } from "./bell.ts";
import type { Json } from "./json.ts";
import type { ParkedStore } from "./parked-port.ts";
import type { FsckStore } from "./fsck-ports.ts";
import type { Recovery } from "./recovery-ports.ts";
import type { RelayStore } from "./relay-port.ts";
import type { TaskStore } from "./task-port.ts";
import type { Consistency, ListOptions, SessionToken } from "./request.ts";
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
  /** The trace that its call belongs to, as W3C has it; null or unsaid: none that is recorded. */
  readonly traceparent?: string | null;
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
  /** The trace that the call belonged to which made it; null: none was recorded, or it was not asked for. */
  readonly traceparent: string | null;
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

/** Which database answered a read. */
export type CopyName = "readonly" | "main";

/** How fresh a read must be; unsaid, main answers. */
export interface ReadNeed {
  readonly consistency: Consistency;
  /** What the session wrote or saw elsewhere. */
  readonly session: readonly SessionToken[];
}

/** A state that somebody reads. */
export interface WantedState extends StateKey {
  /** Nothing older is answered; 0: whatever this process has not seen a newer version of. */
  readonly leastVersion: Version;
}

/** The state as it is, tombstones included; null where it never was; and who said so. */
export interface FoundState {
  readonly state: StoredState | null;
  readonly servedBy: CopyName | "dragonfly";
  /** A replica had all that main had at this time of the process's clock (monotonic); unsaid: nobody knows. */
  readonly asOfMs?: number;
}

/** Who answered the reads that a replica might have, since this process started. */
export interface ReadFigures {
  readonly served: Readonly<Record<CopyName, number>>;
  /** Reads that were sent to the replica once more. */
  readonly retries: number;
  /** Reads that went to main instead, by the reason. */
  readonly fallbacks: ReadonlyMap<string, number>;
}

/** How the replica does. */
export interface ReplicaStatus {
  readonly health: "ok" | "not in use";
  /** Why it serves no reads. */
  readonly reason?: string;
  /** How long it has not had what main had; 0: it has all. */
  readonly lagMs: number;
  /** Share of the reads that it answered; null before the first. */
  readonly servedShare: number | null;
}

/** A copy of the database that serves reads. */
export interface ReadReplica {
  readonly status: ReplicaStatus;
  readonly figures: ReadFigures;
  /** Sends reads to main, for `ms` milliseconds at least and until the replica was found well. */
  open(reason: string, ms?: number): void;
  /** What it holds, whether reads go there or not. */
  readonly copy: Pick<FsckStore, "digests" | "digestsOf">;
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
  /** States as they are, each from a copy where that is fresh enough for it. */
  find(wanted: readonly WantedState[], consistency: Consistency): Promise<FoundState[]>;
  readVersion(key: StateKey, version: Version, need?: ReadNeed): Promise<FoundState>;
  readStep(namespace: string, scope: string, step: Step): Promise<(ChangeRow & { id: string })[]>;
  list(page: ListPage, need?: ReadNeed): Promise<StateSummary[]>;
  history(key: StateKey, page: HistoryPage, need?: ReadNeed): Promise<HistoryEntry[]>;
  scope(scope: ScopeKey, need?: ReadNeed): Promise<ScopeStatus | null>;
  /** So many of them, or a page of bytes (page.ts). Version 0: history forgot what that one was at the step. */
  scopeStates(scope: ScopeKey, page: ScopePage, need?: ReadNeed): Promise<StoredState[]>;
  /** Null where main alone serves reads. */
  readonly replica: ReadReplica | null;
  readonly feed: ChangeFeed;
  readonly upkeep: Upkeep;
  readonly recovery: Recovery;
  readonly tasks: TaskStore;
  readonly relay: RelayStore;
  readonly parked: ParkedStore;
  /** Rung for what may be claimed. Null where processes cannot wake each other: they look from time to time. */
  readonly taskBell: Bell | null;
  /** Rung for what was committed. Null also where no other process commits. */
  readonly changeBell: Bell | null;
  readonly fsck: FsckStore;
  /** Which server and version answers; throws where none does. */
  describe(): Promise<{ readonly server: string; readonly version: string }>;
  close(): Promise<void>;
}

/** What one scope's key is. */
export interface ScopeKey {
  readonly namespace: string;
  readonly scope: string;
}

export type ListPage = ListOptions & { readonly namespace: string; readonly limit: number };

export interface HistoryPage {
  /** Only versions below this one. */
  readonly before: Version | null;
  readonly limit: number;
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
  /** When this was read. */
  readonly moment: Moment;
}

/** A moment of main, in ids of transactions. */
export interface Moment {
  /** Names main since its server was started: moments of one run compare, those of two do not. */
  readonly run: string;
  /** Transactions below this had ended: whoever reads later sees what they did. */
  readonly settled: number;
  /** No transaction at or above this had begun. */
  readonly next: number;
}

/** What keeps the store small. */
export interface Upkeep {
  /** Forgets changes from before a moment, a bounded number a call; how many it forgot. */
  prune(before: Date, limit: number): Promise<number>;
  expired(limit: number): Promise<(StateKey & { readonly version: Version })[]>;
}
