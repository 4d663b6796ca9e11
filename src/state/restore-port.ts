import type { ChainedChange, FollowedTo, FollowerLease, ScopeName } from "./rollback-port.ts";
import type { Step, Version } from "./state.ts";

/** What a copy holds of a scope, judged for a restore of main. */
export interface RestorableScope extends ScopeName {
  /** The step that a rollback restores; 0: nothing existed. */
  readonly promotedStep: Step;
  /** The newest step up to which everything proves; null: not even the promoted one does. */
  readonly provenStep: Step | null;
  /** The newest step that anything is known of. */
  readonly knownStep: Step;
  /** Whether main is known to have gone on after it. */
  readonly isMoreKnown: boolean;
  readonly hold: boolean;
  /** As PostgreSQL writes an int8multirange. */
  readonly quarantined: string;
  /** How main and the copy differed while both were there; null: they did not. */
  readonly doubt: string | null;
  /** What does not prove first; null: all of it proves. */
  readonly fault: CopyFault | null;
  /** How many changes the copy holds. */
  readonly changes: number;
}

export interface CopyFault {
  readonly step: Step;
  /** Which state, and at which version, where it is one. */
  readonly id: string | null;
  readonly version: Version | null;
  readonly why: string;
}

/** A change, and what proves it: the digest before it, or its seal. */
export interface ProvenChange extends ChainedChange {
  readonly seal: string | null;
}

/** A change that a page of the log ended with. */
export interface LogPlace extends ScopeName {
  readonly id: string;
  readonly version: Version;
}

/** How far copies were followed. */
export interface CopiedTo {
  /** Null: nothing was ever followed. */
  readonly followedTo: FollowedTo | null;
  /** By the clock of the main that was lost: the copies hold all that was committed then. Null: not known. */
  readonly settledAt: Date | null;
  /** Whether some scopes of main were not copied yet. */
  readonly walking: boolean;
  /** How many scopes there are. */
  readonly scopes: number;
}

/** The rollback database, for whoever rebuilds main from it. Every method throws UNAVAILABLE where it cannot be reached. */
export interface RestoreSource {
  /** Takes or renews the lease of the follower, so that the copies stay as they are. */
  takeLease(holder: string, ttlMs: number): Promise<FollowerLease>;
  releaseLease(epoch: bigint): Promise<void>;
  copiedTo(): Promise<CopiedTo>;
  /** The next scopes after one, by namespace and scope. */
  scopes(after: ScopeName | null, limit: number): Promise<readonly RestorableScope[]>;
  /** The log of scopes, each up to a step, in pages; the last one is empty. */
  log(
    scopes: readonly RestoredScope[],
    after: LogPlace | null,
    limit: { readonly rows: number; readonly bytes: number },
  ): Promise<readonly ProvenChange[]>;
  /** Has these copies made anew from the new main, up to the step that was restored; null: the lease was lost. */
  restored(epoch: bigint, scopes: readonly RestoredScope[]): Promise<true | null>;
  close(): Promise<void>;
}

/** A scope, and the step it is restored to. */
export interface RestoredScope extends ScopeName {
  readonly step: Step;
}
