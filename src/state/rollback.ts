import type { JsonObject } from "./json.ts";
import type { CallOptions } from "./request.ts";
import type { Step, Version } from "./state.ts";

export const ROLLBACK_SOURCES = ["rollback", "history"] as const;

/** Where the documents of a rollback come from: the rollback database, or main's own history. */
export type RollbackSource = (typeof ROLLBACK_SOURCES)[number];

/** Where to go back to, and under which conditions. */
export interface RollbackOptions extends CallOptions {
  readonly namespace?: string;
  /** The step to restore; default: the newest good one before HEAD. 0: before the first step. */
  readonly toStep?: Step;
  /** Only if the scope's HEAD is at this step. */
  readonly expectedStep?: Step;
  /** Why; at most 1,000 characters. */
  readonly reason?: string;
  readonly actor?: string;
  /** The same key with the same target returns the first rollback; with another target it is refused. */
  readonly idempotencyKey?: string;
  /** Return the plan without changing anything. */
  readonly dryRun?: boolean;
  /** Default: the rollback database, if there is one, for one step back; otherwise history. */
  readonly source?: RollbackSource;
}

/** What a rollback does, or would do, to one state. */
export interface RollbackState {
  readonly id: string;
  readonly type: string;
  /**
   * `recreate`: it is a tombstone now. `delete`: it did not exist then. `supersede`: a task that ended since stays as it ended,
   * and a new one goes on where it was then. `keep`: it stays as it ended, and did not exist then.
   */
  readonly action: "restore" | "recreate" | "delete" | "supersede" | "keep";
  /** The task that supersedes it, if any. */
  readonly supersededBy?: string;
  /** The version that is current before it. */
  readonly version: Version;
  /** The version that it writes. */
  readonly newVersion: Version;
  /** The version whose document it gets; 0 where it did not exist. */
  readonly targetVersion: Version;
  /** The phase after it. */
  readonly phase: string | null;
}

/** What a task told to have done outside, and what no way back undoes; the task has its receipt. */
export interface RollbackEffect {
  readonly task: string;
  readonly key: string;
  readonly doneAt: Date;
}

/** One way back: done, or, of a dry run, planned. */
export interface Rollback {
  readonly namespace: string;
  readonly scope: string;
  readonly dryRun: boolean;
  /** The step that it appended; of a dry run, that it would append. */
  readonly step: Step;
  readonly restoredStep: Step;
  /** HEAD before it. */
  readonly undoneStep: Step;
  readonly source: RollbackSource;
  /** The steps that it quarantines. */
  readonly quarantined: readonly Step[];
  readonly states: readonly RollbackState[];
  /** The tasks that it takes from whoever works on them. */
  readonly fenced: readonly string[];
  /** Done after the step that it restores; the newest 1,000, in order. */
  readonly effects: readonly RollbackEffect[];
  /** True if this is the answer of an earlier rollback with the same idempotency key. */
  readonly replayed: boolean;
}

/** Why a scope is held or released, and by whom. */
export interface HoldOptions extends CallOptions {
  readonly namespace?: string;
  /** Why; at most 1,000 characters. */
  readonly reason?: string;
  readonly actor?: string;
}

/** A rollback in its JSON form. */
export function rollbackJson(rollback: Rollback): JsonObject {
  return {
    namespace: rollback.namespace,
    scope: rollback.scope,
    dryRun: rollback.dryRun,
    step: rollback.step.toString(),
    restoredStep: rollback.restoredStep.toString(),
    undoneStep: rollback.undoneStep.toString(),
    source: rollback.source,
    quarantined: rollback.quarantined.map(String),
    states: rollback.states.map(({ version, newVersion, targetVersion, ...state }) => ({
      ...state,
      version: version.toString(),
      newVersion: newVersion.toString(),
      targetVersion: targetVersion.toString(),
    })),
    fenced: rollback.fenced,
    effects: rollback.effects.map(({ doneAt, ...effect }) => ({
      ...effect,
      doneAt: doneAt.toISOString(),
    })),
    replayed: rollback.replayed,
  };
}
