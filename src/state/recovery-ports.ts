import type { Rollback, RollbackEffect, RollbackSource, RollbackState } from "./rollback.ts";
import type { Step, Version } from "./state.ts";

/** Which way back is asked for. */
export interface RollbackRequest {
  readonly namespace: string;
  readonly scope: string;
  /** Null: one step back. */
  readonly toStep: Step | null;
  readonly idempotencyKey: string | null;
}

/** What going back would take, as main sees it. */
export interface RollbackPlan {
  readonly head: Step;
  /** The step whose content HEAD holds: of a rollback, the one that it restored. */
  readonly effective: Step;
  readonly target: Step;
  readonly targetQuarantined: boolean;
  /** Steps that would be quarantined. */
  readonly quarantines: readonly Step[];
  readonly states: readonly PlannedState[];
  readonly effects: readonly RollbackEffect[];
}

export interface PlannedState extends RollbackState {
  /** Digest of the target version; null where there is none here. */
  readonly digest: string | null;
  /** Whether history still has what it was. */
  readonly kept: boolean;
  /** Whether it is a task that somebody works on. */
  readonly fenced: boolean;
  /** A phase that nothing leads out of, and that the rollback would undo. */
  readonly undone: string | null;
}

/** What an earlier rollback with the same idempotency key did; null: the key was used for something else. */
export interface Replayed {
  readonly replayed: Omit<Rollback, "namespace" | "scope"> | null;
}

/** A document that goes in with a rollback, and which version of its state it is. */
export interface RestoredDocument {
  readonly id: string;
  readonly version: Version;
  readonly digest: string;
  readonly phase: string | null;
  /** JSON text. */
  readonly text: string;
}

export interface RollbackOrder extends RollbackRequest {
  readonly expectedStep: Step;
  readonly target: Step;
  readonly source: RollbackSource;
  /** Empty where the source is history. */
  readonly documents: readonly RestoredDocument[];
  readonly reason: string | null;
  readonly actor: string | null;
}

/** What the database answered to an order; `refused` is the code of why not, and then nothing was done. */
export type RollbackAnswer =
  | { readonly refused: string; readonly id: string | null; readonly detail: string | null }
  | { readonly refused: null; readonly step: Step; readonly effects: readonly RollbackEffect[] };

/** Going back, and stopping what must not go on: in main. */
export interface Recovery {
  /** Null where the scope was never written to. */
  plan(request: RollbackRequest): Promise<RollbackPlan | Replayed | null>;
  rollBack(order: RollbackOrder): Promise<RollbackAnswer>;
  /** Whether there is such a scope. */
  hold(namespace: string, scope: string, why: HoldReason): Promise<boolean>;
  release(namespace: string, scope: string): Promise<boolean>;
}

export interface HoldReason {
  readonly reason: string | null;
  readonly by: string | null;
}

/** A scope as the rollback database holds it: its newest good step before HEAD. */
export interface ScopeCopy {
  readonly promotedStep: Step;
  /** HEAD, as far as the rollback database was told. */
  readonly pendingStep: Step;
  /** Why it cannot be used; null where it is whole. */
  readonly broken: string | null;
  /** The living states at the promoted step. */
  readonly states: readonly CopiedState[];
}

export interface CopiedState extends RestoredDocument {
  /** Whether its digest follows from what the rollback database holds. */
  readonly verified: boolean;
}
