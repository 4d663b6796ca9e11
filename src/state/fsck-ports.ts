import type { CheckName, Finding, FindingKind } from "./fsck.ts";
import type { FeedPosition, ScopeKey, StateKey } from "./ports.ts";
import type { LoggedChange, RollbackStore } from "./rollback-port.ts";
import type { Step, Version } from "./state.ts";

/** What a check says before it is in the books. */
export interface Fault {
  readonly check: CheckName;
  readonly namespace: string | null;
  readonly scope: string | null;
  readonly id: string | null;
  readonly version: Version | null;
  readonly step: Step | null;
  readonly detail: string;
  /** JSON text: the rows as they were found. */
  readonly evidence: string;
  /** Whether its scope is put on hold, where that is not for its check alone to say. */
  readonly hold?: boolean;
}

/** A fault with what the books want to know beside it. */
export interface RecordedFault extends Fault {
  readonly kind: FindingKind;
  readonly remedy: string;
  /** Whether its scope is put on hold. */
  readonly hold: boolean;
}

/** A finding in the books. */
export interface Entry {
  readonly no: bigint;
  /** Nobody had seen it. */
  readonly isNew: boolean;
}

/** Where a page ended; null: at the end. */
export interface CheckedPage {
  readonly next: bigint | null;
  readonly checked: number;
  readonly faults: readonly Fault[];
}

/** What a copy holds of a state at a version. */
export interface CopyDigest extends StateKey {
  readonly scope: string;
  readonly version: Version;
  readonly step: Step;
  readonly phase: string | null;
  readonly digest: string;
  /** Whether the copy proves that it is what was committed; unsaid: it cannot tell. */
  readonly verified?: boolean;
}

/** What main holds of the same. */
export interface MainDigest {
  /** Null: there is no such state. */
  readonly newest: Version | null;
  /** Null, as the next two: this version is no longer kept. */
  readonly step: Step | null;
  readonly phase: string | null;
  readonly digest: string | null;
}

export interface ScopeHead {
  /** Null: it has no step. */
  readonly step: Step | null;
  /** The newest one before it that is not in quarantine; 0: there is none. */
  readonly goodStep: Step;
  /** Milliseconds since its HEAD, its hold or its quarantine changed. */
  readonly ageMs: number;
  readonly hold: boolean;
  readonly quarantined: readonly Step[];
}

/** One state of a scope, and a version of it. */
export interface StateVersion {
  readonly id: string;
  readonly version: Version;
}

/** How a follower stands to main's feed. */
export interface FeedCheck {
  readonly lineage: string;
  readonly isAhead: boolean;
  /** Changes after it were pruned before it saw them. */
  readonly isPruned: boolean;
  /** Milliseconds since the oldest settled change after it was committed; 0: there is none. */
  readonly ageMs: number;
}

/** What the detector asks of main. */
export interface FsckStore {
  /** One page of all states by their numbers, checked by all that main alone can tell. */
  checkStates(after: bigint, limit: number): Promise<CheckedPage>;
  checkThese(stateNos: readonly bigint[]): Promise<Fault[]>;
  scopeStates(scope: ScopeKey, after: bigint, limit: number): Promise<bigint[]>;
  /** What was touched by hand, after a number; a null state stands for all of them. */
  strays(
    after: bigint,
    limit: number,
  ): Promise<{ readonly no: bigint; readonly stateNo: bigint | null }[]>;
  /** The states that so many of the newest changes were made to. */
  newest(limit: number): Promise<bigint[]>;
  /** Tasks that ought to have been seen to by now. */
  suspectTasks(limit: number): Promise<bigint[]>;
  settleStrays(nos: readonly bigint[]): Promise<void>;
  /** One page of states by their numbers: what a store over a replica answers to ReplicaCopy. */
  digests: ReplicaCopy["digests"];
  digestsOf: ReplicaCopy["digestsOf"];
  digestsAt(of: readonly (StateKey & { readonly version: Version })[]): Promise<MainDigest[]>;
  scopeHeads(scopes: readonly ScopeKey[]): Promise<ScopeHead[]>;
  /** The states of a scope, each with its newest version at or before a step. */
  scopeVersions(scope: ScopeKey, step: Step): Promise<StateVersion[]>;
  /** Those after one, by namespace and scope. */
  scopesAfter(after: ScopeKey | null, limit: number): Promise<(ScopeKey & ScopeHead)[]>;
  checkFeed(at: FeedPosition): Promise<FeedCheck>;
  /** What became of each, in their order; null: there are too many open ones. */
  record(faults: readonly RecordedFault[]): Promise<(Entry | null)[]>;
  findings(page: {
    readonly namespace: string | null;
    readonly scope: string | null;
    readonly open: boolean;
    readonly before: bigint | null;
    readonly limit: number;
  }): Promise<Finding[]>;
  countFindings(): Promise<ReadonlyMap<CheckName, number>>;
  resolve(nos: readonly bigint[], resolution: string): Promise<void>;
  /** Takes the detector's own hold back where no finding of these checks is open; whether it did. */
  release(scope: ScopeKey, holding: readonly CheckName[]): Promise<boolean>;
  quarantine(scope: ScopeKey, step: Step, reason: string): Promise<void>;
  /** Versions that ought to be kept and are not, oldest first. */
  missingVersions(key: StateKey, limit: number): Promise<Version[]>;
  /** Null where it was (`isDry`: would be) done, or why not. */
  repairRow(key: StateKey, witness: string | null, isDry: boolean): Promise<string | null>;
  /** Puts the scheduling of a task right by one of its checks; the same. */
  repairTask(key: StateKey, check: CheckName, isDry: boolean): Promise<string | null>;
  /** The same; a null copy puts back a digest that main's own content proves. */
  restoreChange(
    key: StateKey & { readonly version: Version },
    copy: LoggedChange | null,
    isDry: boolean,
  ): Promise<string | null>;
}

/** A replica of main that serves reads. Its reads throw where it is none of main's, or does not answer. */
export interface ReplicaCopy {
  /** One page of states by main's numbers. */
  digests(
    after: bigint,
    limit: number,
  ): Promise<{
    readonly next: bigint | null;
    readonly digests: readonly CopyDigest[];
  }>;
  digestsOf(stateNos: readonly bigint[]): Promise<CopyDigest[]>;
  /** It holds what main never did: for a while, reads do not go there. */
  distrust(reason: string): void;
}

/** The rollback database, as far as the detector needs it. */
export type RollbackCopy = Pick<
  RollbackStore,
  "status" | "standing" | "standings" | "digests" | "change" | "discard"
>;

/** The states in this process's memory. */
export interface MemoryCopy {
  /** Up to so many, other ones each time; only a scope's where one is named. */
  sample(limit: number, scope?: ScopeKey): CopyDigest[];
  forget(key: StateKey): void;
}
