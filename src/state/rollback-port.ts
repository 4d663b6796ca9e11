import type { FeedPosition } from "./ports.ts";
import type { Step, Version } from "./state.ts";

/** A scope's name. */
export interface ScopeKey {
  readonly namespace: string;
  readonly scope: string;
}

/** One change as main's log holds it, in the words of the databases: it goes from one to the other untouched. */
export interface LoggedChange extends ScopeKey {
  readonly step: Step;
  /** Its place among the changes of its step. */
  readonly position: number;
  readonly id: string;
  readonly type: string;
  readonly version: Version;
  /** A timestamptz as PostgreSQL writes it, with its microseconds. */
  readonly at: string;
  /** u update, d delete, r rollback, p repair. */
  readonly kind: string;
  /** f: body is the document (null: it was deleted); d: body is the delta from the version before. */
  readonly stored: string;
  readonly digest: string;
  readonly phase: string | null;
  readonly actor: string | null;
  readonly cause: string | null;
  readonly body: string | null;
}

/** What keeps a scope's steps from being promoted. */
export interface Gate extends ScopeKey {
  readonly hold: boolean;
  /** A set of steps as PostgreSQL writes an int8multirange: `{[3,5),[8,9)}`. */
  readonly quarantined: string;
}

/** Where the follower is in main's feed, and in which history. */
export interface FollowedTo {
  readonly lineage: string;
  readonly position: FeedPosition;
}

/** A page of main's feed: whole steps, in feed order, with the gates of their scopes at the same moment. */
export interface FeedPage {
  readonly changes: readonly LoggedChange[];
  /** Of those of its scopes that have any: the others are open. */
  readonly gates: readonly Gate[];
  readonly followedTo: FollowedTo;
  /** Where main's feed ends now: a cursor behind it is one of another main. */
  readonly head: bigint;
  /** Main's clock when it was read; with it a page without more says up to when the copy is complete. */
  readonly readAt: string;
  readonly more: boolean;
}

/** What a scope's copy is made from: where it stands, and a part of its log. */
export interface CopyPart extends Gate {
  readonly head: Step;
  /** The newest good step older than HEAD; 0: nothing existed. */
  readonly promoted: Step;
  /** Whether its log ends in this page: until then the copy is not served. */
  readonly whole: boolean;
}

/** A change with the digest of the version before it; null where main no longer has that. */
export interface ChainedChange extends LoggedChange {
  readonly before: string | null;
}

/** Where a walk over main's scopes goes on. `scopeNo` counts main's scopes; 0: the first. */
export interface CopyPosition {
  readonly scopeNo: bigint;
  readonly stateNo: bigint;
  readonly version: Version;
  /** HEAD of the scope that the page before broke off in; null: at the beginning of the next one. */
  readonly head: Step | null;
}

export interface CopyPage {
  readonly parts: readonly CopyPart[];
  readonly changes: readonly ChainedChange[];
  /** Null: nothing is left. */
  readonly next: CopyPosition | null;
}

/** What main gives to whoever follows it. */
export interface FollowedStore {
  /** The next page after a position: so many rows and bytes, more only to end a step. */
  feedPage(after: FeedPosition, limit: PageLimit): Promise<FeedPage>;
  /** Scopes whose gates changed after a moment of main's clock (as PostgreSQL writes it), open ones too. */
  gatesChanged(since: string, limit: number): Promise<readonly Gate[]>;
  /** What the copies of these scopes need, or those of all (null) in the order of their numbers. */
  copyPage(
    scopes: readonly ScopeKey[] | null,
    after: CopyPosition,
    limit: PageLimit,
  ): Promise<CopyPage>;
}

export interface PageLimit {
  readonly rows: number;
  readonly bytes: number;
}

/** What a copy could not take. rebuild: make it anew from main. suspect: it and main differ; somebody has to look. */
export interface CopyNeed extends ScopeKey {
  readonly need: "rebuild" | "suspect";
  readonly why: string;
  /** Which state, and at which version, where it is one. */
  readonly id: string | null;
  readonly version: Version | null;
}

/** The lease of the one follower. */
export interface FollowerLease {
  /** False: another one holds it. */
  readonly mine: boolean;
  readonly epoch: bigint;
  /** Where the copy stands; null: it never followed anything. */
  readonly followedTo: FollowedTo | null;
  /** How far the first walk over main's scopes came; null: it is done. */
  readonly backfill: CopyPosition | null;
}

/** A living state of a copy at its promoted step. */
export interface CopiedState {
  readonly id: string;
  readonly type: string;
  readonly version: Version;
  readonly step: Step;
  readonly phase: string | null;
  readonly digest: string;
  /** JSON text. */
  readonly document: string;
  /** Whether every digest of its chain was computed anew and met. */
  readonly proven: boolean;
}

/** Where a copy stands. */
export interface CopyStatus extends ScopeKey {
  /** The step that a rollback restores; 0: nothing existed. */
  readonly promoted: Step;
  /** The newest step that was followed. */
  readonly pending: Step;
  readonly hold: boolean;
  /** Why it is not served; null: it is whole. */
  readonly broken: string | null;
}

/** A copy as it would be restored. `states` is empty where it is broken. */
export interface Copy extends CopyStatus {
  readonly states: readonly CopiedState[];
}

/** The digests of a copy, for whoever compares. `states`: its newest change of each state at or before `promoted`. */
export interface CopyDigests extends CopyStatus {
  readonly states: readonly {
    readonly id: string;
    readonly version: Version;
    readonly digest: string;
  }[];
}

/** All copies together. */
export interface RollbackTotals {
  readonly scopes: number;
  readonly held: number;
  readonly broken: number;
  /** The rollback database's own count of what it followed. */
  readonly followedTo: FollowedTo | null;
  /** The copy holds all that main had committed then, by main's clock; null: not yet. */
  readonly settledAt: Date | null;
  readonly backfilling: boolean;
  readonly holder: string | null;
  readonly epoch: bigint;
  /** Whether a lease runs now, by the rollback database's clock. */
  readonly led: boolean;
}

/** The database one step behind. Every method throws UNAVAILABLE where it cannot be reached. */
export interface RollbackStore {
  /** Takes or renews the lease for so long, where nobody else holds it. */
  takeLease(holder: string, ttlMs: number): Promise<FollowerLease>;
  /** Gives it back, so that another one need not wait. */
  releaseLease(epoch: bigint): Promise<void>;
  /** Begins with a main from here on: its scopes are to be copied first. False: the lease was lost. */
  begin(epoch: bigint, followedTo: FollowedTo): Promise<boolean>;
  /** Takes a page in one transaction; twice is as good as once. Null: the lease was lost, nothing was done. */
  follow(
    epoch: bigint,
    page: Pick<FeedPage, "changes" | "gates"> & {
      /** Null leaves it where it is. */
      readonly followedTo: FollowedTo | null;
      readonly settledAt: string | null;
    },
  ): Promise<readonly CopyNeed[] | null>;
  /**
   * Fills copies from main's log; each is served once its last part came and its chain was proven.
   *
   * @param backfill where the walk over all scopes goes on, "done", or null where this is none.
   */
  fill(
    epoch: bigint,
    page: Pick<CopyPage, "parts" | "changes">,
    backfill: CopyPosition | "done" | null,
  ): Promise<readonly CopyNeed[] | null>;
  /** Scopes whose copies are to be made anew. */
  toRebuild(limit: number): Promise<readonly ScopeKey[]>;
  /** Drops what a copy holds: for one that was found to be wrong. It is made anew from main. */
  discard(scope: ScopeKey): Promise<void>;
  /** Null: it knows nothing of the scope. */
  readCopy(scope: ScopeKey): Promise<Copy | null>;
  copyStatus(scope: ScopeKey): Promise<CopyStatus | null>;
  /** The next copies after one, by namespace and scope. */
  digests(after: ScopeKey | null, limit: number): Promise<readonly CopyDigests[]>;
  totals(): Promise<RollbackTotals>;
  describe(): Promise<{ readonly server: string; readonly version: string }>;
  close(): Promise<void>;
}
