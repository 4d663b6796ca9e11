import type { FeedPosition, StateKey } from "./ports.ts";
import type { ScopeCopy } from "./recovery-ports.ts";
import type { Step, Version } from "./state.ts";

/** A scope's name. */
export interface ScopeName {
  readonly namespace: string;
  readonly scope: string;
}

/** One change as main's log holds it, in the words of the databases: it goes from one to the other untouched. */
export interface LoggedChange extends ScopeName, StateKey {
  readonly step: Step;
  /** Its place among the changes of its step. */
  readonly position: number;
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
export interface Gate extends ScopeName {
  readonly hold: boolean;
  /** A set of steps as PostgreSQL writes an int8multirange: `{[3,5),[8,9)}`. */
  readonly quarantined: string;
  /** A step of it was too large for the feed: the copy is to be made anew. */
  readonly skipped: boolean;
}

/** Where the follower is in main's feed, and in which history of it. */
export interface FollowedTo {
  readonly lineage: string;
  readonly position: FeedPosition;
}

/** A page of main's feed: whole steps, in feed order, with the gates of their scopes at the same moment. */
export interface FeedPage {
  readonly changes: readonly LoggedChange[];
  /** Of those of its scopes that have any: the others are open. */
  readonly gates: readonly Gate[];
  /** The snapshot of main that the gates come from. */
  readonly moment: bigint;
  readonly followedTo: FollowedTo;
  /** Main's clock when it was read, as PostgreSQL writes it. */
  readonly readAt: string;
  /** By the same clock: all that was committed then is in this page or before it, unless there is more. */
  readonly settledAt: string;
  /** False: it ends where the feed does. */
  readonly more: boolean;
}

/** Gates that changed, in the order of their changes. */
export interface ChangedGates {
  readonly gates: readonly Gate[];
  readonly moment: bigint;
  /** The last change, by main's clock; null: there was none. */
  readonly until: string | null;
}

/** A scope as its copy is to be, and whether its log ends in this page: until then the copy is not served. */
export interface CopyPart extends Omit<Gate, "skipped"> {
  readonly head: Step;
  /** The newest good step older than HEAD; 0: nothing existed. */
  readonly promoted: Step;
  readonly whole: boolean;
}

/** A change with the digest of the version before it; null where main no longer has that. */
export interface ChainedChange extends LoggedChange {
  readonly before: string | null;
}

/** Where a walk over main's scopes goes on. */
export interface WalkPosition {
  readonly scopeNo: bigint;
  /** The change of this scope that the page before ended with; null: it ended with the scope. */
  readonly within: {
    readonly id: string;
    readonly version: Version;
    readonly head: Step;
    readonly promoted: Step;
  } | null;
}

export interface CopyPage {
  readonly parts: readonly CopyPart[];
  readonly changes: readonly ChainedChange[];
  /** The snapshot of main that the gates come from. */
  readonly moment: bigint;
  /** Null: that was all. */
  readonly next: WalkPosition | null;
}

/** How much a page holds: so many rows or bytes of documents, and what is begun. */
export interface PageLimit {
  readonly rows: number;
  readonly bytes: number;
}

/** What main gives to whoever follows it. Every method throws UNAVAILABLE where it cannot be reached. */
export interface FollowedStore {
  /** Where its feed ends now. */
  head(): Promise<FollowedTo>;
  feedPage(after: FeedPosition, limit: PageLimit): Promise<FeedPage>;
  /** Scopes whose gates changed after a moment of main's clock, open ones too. */
  gatesChanged(since: string, limit: number): Promise<ChangedGates>;
  /** What the copies of these scopes need, or those of all (null) in the order of their numbers. */
  copyPage(
    scopes: readonly ScopeName[] | null,
    after: WalkPosition,
    limit: PageLimit,
  ): Promise<CopyPage>;
  /** How many changes come after a position, counted up to the limit. */
  backlog(after: FeedPosition, limit: number): Promise<number>;
  close(): Promise<void>;
}

/** A copy that broke. rebuild: it heals by being made anew from main. suspect: it and main differ, somebody has to look. */
export interface CopyNeed extends ScopeName {
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
  /** Null: it never followed anything. */
  readonly followedTo: FollowedTo | null;
  /** Where the walk over all scopes of main goes on, which comes before its feed; null: it is done. */
  readonly walk: WalkPosition | null;
}

/** Where a copy stands. */
export interface CopyStanding extends ScopeName {
  /** The step that a rollback restores; 0: nothing existed. */
  readonly promotedStep: Step;
  /** The newest step that was followed. */
  readonly pendingStep: Step;
  readonly hold: boolean;
  /** Why it is not served; null: it is whole. */
  readonly broken: string | null;
  /** It and main differ: somebody has to look. */
  readonly isSuspect: boolean;
}

/** A change that a copy holds. */
export interface CopiedDigest {
  readonly id: string;
  readonly version: Version;
  readonly step: Step;
  readonly phase: string | null;
  readonly digest: string;
  /** Whether it is what was committed, proven when it was read. */
  readonly verified: boolean;
}

/** All copies together. */
export interface RollbackStatus {
  readonly scopes: number;
  readonly held: number;
  /** Those that are not served. */
  readonly broken: number;
  /** Those of the broken that somebody has to look at. */
  readonly suspect: number;
  readonly followedTo: FollowedTo | null;
  /** By main's clock: the copies hold all that was committed then. Null: not yet. */
  readonly settledAt: Date | null;
  /** Whether not all scopes of main were copied yet. */
  readonly walking: boolean;
  readonly holder: string | null;
  readonly epoch: bigint;
  /** Whether a lease runs, by the rollback database's clock. */
  readonly led: boolean;
}

/** A page as `follow` takes it. */
export interface FollowedPage extends Pick<FeedPage, "changes" | "gates" | "moment"> {
  /** Null leaves it where it is. */
  readonly followedTo: FollowedTo | null;
  /** Null: the copies do not hold all that main has. */
  readonly settledAt: string | null;
}

/** What the follower writes. Those that take an epoch answer null, and do nothing, where the lease is lost. */
export interface CopyWriter {
  /** Takes or renews the lease, where nobody else holds it. */
  takeLease(holder: string, ttlMs: number): Promise<FollowerLease>;
  /** Gives it back, so that another one need not wait. */
  releaseLease(epoch: bigint): Promise<void>;
  /** Begins with a main, or another history of it: a walk over all its scopes, then its feed from here on. */
  begin(epoch: bigint, at: FollowedTo): Promise<true | null>;
  /** Takes a page in one transaction; twice is as good as once. */
  follow(epoch: bigint, page: FollowedPage): Promise<readonly CopyNeed[] | null>;
  /**
   * Fills copies from main's log; each is served once its last part came and hangs together.
   *
   * @param walk where the walk over all scopes goes on, "done", or null where this is none.
   */
  fill(
    epoch: bigint,
    page: Omit<CopyPage, "next">,
    walk: WalkPosition | "done" | null,
  ): Promise<readonly CopyNeed[] | null>;
  /** Copies that are to be made anew. */
  toRebuild(limit: number): Promise<readonly ScopeName[]>;
}

/** The database one step behind. Every method throws UNAVAILABLE where it cannot be reached. */
export interface RollbackStore extends CopyWriter {
  /** A copy as a rollback restores it, its states proven; null: there is none. */
  readCopy(namespace: string, scope: string): Promise<ScopeCopy | null>;
  standing(scope: ScopeName): Promise<CopyStanding | null>;
  /** The next copies after one, by namespace and scope. */
  standings(after: ScopeName | null, limit: number): Promise<readonly CopyStanding[]>;
  /** Every change that a copy holds, by id and version. */
  digests(scope: ScopeName): Promise<readonly CopiedDigest[]>;
  /** One change as it was committed; null where the copy does not hold it, or cannot prove it. */
  change(key: StateKey & { readonly version: Version }): Promise<LoggedChange | null>;
  /** Drops what a copy holds, and has it made anew from main, a missing one as well; whether there was one. */
  discard(scope: ScopeName, reason: string): Promise<boolean>;
  status(): Promise<RollbackStatus>;
  describe(): Promise<{ readonly server: string; readonly version: string }>;
  close(): Promise<void>;
}
