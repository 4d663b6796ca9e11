import type { FeedPosition, FeedRow, ScopeKey } from "./ports.ts";
import type { PastRollback, Step, Version } from "./state.ts";

/** A sixteenth of all scopes, whose changes one service sends. */
export interface RelayPartition {
  readonly partition: number;
  /** Counts up with every new holder: who holds an old one has lost it. */
  readonly epoch: bigint;
  /** Everything up to here was sent. */
  readonly sentTo: FeedPosition;
}

export const PARTITIONS = 16;

export interface RelayPage {
  readonly rows: readonly FeedRow[];
  /** How far this looked. */
  readonly next: FeedPosition;
  readonly more: boolean;
}

/** A step that went back, and what it made of each state. */
export interface RollbackRecord extends PastRollback {
  readonly quarantined: readonly Step[];
  readonly states: readonly {
    readonly stateNo: bigint;
    readonly id: string;
    readonly type: string;
    readonly newVersion: Version;
    readonly phase: string | null;
    readonly deleted: boolean;
  }[];
}

/** Which changes went out to the message bus, and who sends them. */
export interface RelayStore {
  /** Takes or renews a fair share of the partitions. */
  lease(holder: string, ttlMs: number): Promise<RelayPartition[]>;
  release(holder: string): Promise<void>;
  /** Settled changes of some partitions, in feed order. */
  read(
    partitions: readonly number[],
    after: FeedPosition,
    bounds: { readonly limit: number; readonly bytes: number },
  ): Promise<RelayPage>;
  /** Everything of these up to a position was sent; those of them that are still held. */
  advance(
    holder: string,
    partitions: readonly RelayPartition[],
    to: FeedPosition,
  ): Promise<ReadonlySet<number>>;
  /** What a step did that went back; null where that step did not, or it is not kept any more. */
  rollback(scope: ScopeKey, step: Step): Promise<RollbackRecord | null>;
  /** How many changes are not sent yet, counted up to a limit; since when the oldest of them waits. */
  backlog(limit: number): Promise<{ readonly behind: number; readonly since: Date | null }>;
}
