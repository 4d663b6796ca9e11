import { AgentRuntimeError } from "../state/errors.ts";
import type { BatchOutcome } from "../state/face.ts";
import type { Finding, Findings, FsckReport, FsckRun } from "../state/fsck.ts";
import { deepFreeze } from "../state/json-check.ts";
import type { Diff } from "../state/request.ts";
import type { Rollback, RollbackEffect, RollbackState } from "../state/rollback.ts";
import type {
  Change,
  Committed,
  HistoryEntry,
  Page,
  PastRollback,
  ScopeStatus,
  State,
  StateSummary,
  Written,
} from "../state/state.ts";
import { errorOfProblem } from "./transport.ts";

/** A value as JSON carries it: 64-bit numbers and times are text; documents stay as they are. */
export type Wire<Value> = Value extends bigint | Date
  ? string
  : Value extends readonly (infer Item)[]
    ? readonly Wire<Item>[]
    : Value extends object
      ? { readonly [Key in keyof Value]: Key extends Document ? Value[Key] : Wire<Value[Key]> }
      : Value;

type Document = "data" | "patch";

/** What `read` makes of an answer, frozen; INTERNAL where the answer has another shape. */
export function decode<Result>(answer: unknown, read: (wire: never) => Result): Result {
  try {
    return Object.freeze(read(answer as never));
  } catch (cause) {
    throw new AgentRuntimeError(
      "INTERNAL",
      "the answer has an unexpected shape; is the service of another version than this client?",
      { cause },
    );
  }
}

export function toWritten(wire: Wire<Written>): Written {
  return {
    ...wire,
    version: BigInt(wire.version),
    step: BigInt(wire.step),
    updatedAt: toDate(wire.updatedAt),
  };
}

export function toCommitted(wire: Wire<Committed>): Committed {
  return {
    namespace: wire.namespace,
    scope: wire.scope,
    step: BigInt(wire.step),
    changes: mapFrozen(wire.changes, toWritten),
    replayed: wire.replayed,
  };
}

/** An item of a batch: a changeset's answer or a problem, and its HTTP status. */
export function toOutcome(wire: Wire<Committed> & { readonly status: number }): BatchOutcome {
  return wire.status < 300
    ? { ok: true, committed: Object.freeze(toCommitted(wire)) }
    : { ok: false, error: errorOfProblem(wire) };
}

export function toSummary(wire: Wire<StateSummary>): StateSummary {
  return {
    ...wire,
    version: BigInt(wire.version),
    step: BigInt(wire.step),
    createdAt: toDate(wire.createdAt),
    updatedAt: toDate(wire.updatedAt),
    expiresAt: wire.expiresAt === null ? null : toDate(wire.expiresAt),
  };
}

export function toState(wire: Wire<State>): State {
  return { ...toSummary(wire), data: deepFreeze(wire.data) };
}

export function toHistoryEntry(wire: Wire<HistoryEntry>): HistoryEntry {
  return {
    ...wire,
    version: BigInt(wire.version),
    step: BigInt(wire.step),
    at: toDate(wire.at),
  };
}

export function toDiff(wire: Wire<Diff>): Diff {
  return {
    ...wire,
    from: BigInt(wire.from),
    to: BigInt(wire.to),
    patch: deepFreeze(wire.patch),
  };
}

export function toScopeStatus(wire: Wire<ScopeStatus>): ScopeStatus {
  return {
    ...wire,
    step: BigInt(wire.step),
    rollbackStep: wire.rollbackStep === null ? null : BigInt(wire.rollbackStep),
    quarantined: mapFrozen(wire.quarantined, BigInt),
    rollbacks: mapFrozen(wire.rollbacks, (rollback: Wire<PastRollback>): PastRollback => {
      return {
        ...rollback,
        step: BigInt(rollback.step),
        restoredStep: BigInt(rollback.restoredStep),
        undoneStep: BigInt(rollback.undoneStep),
        at: toDate(rollback.at),
      };
    }),
  };
}

/** A watched change; its cursor travels beside it, as the event's id. */
export function toChange(wire: Wire<Omit<Change, "cursor">>, cursor: string): Change {
  return {
    ...deepFreeze(wire),
    cursor,
    step: BigInt(wire.step),
    version: BigInt(wire.version),
    at: toDate(wire.at),
  };
}

export function toFinding(wire: Wire<Finding>): Finding {
  return {
    ...wire,
    no: BigInt(wire.no),
    version: wire.version === null ? null : BigInt(wire.version),
    step: wire.step === null ? null : BigInt(wire.step),
    foundAt: toDate(wire.foundAt),
    seenAt: toDate(wire.seenAt),
    resolvedAt: wire.resolvedAt === null ? null : toDate(wire.resolvedAt),
  };
}

export function toFsckReport(wire: Wire<FsckReport>): FsckReport {
  return { ...wire, findings: mapFrozen(wire.findings, toFinding) };
}

export function toFindings({ items, runs, next }: Wire<Findings>): Findings {
  const toRun = (run: Wire<FsckRun>): FsckRun => ({ ...run, endedAt: toDate(run.endedAt) });
  return {
    items: mapFrozen(items, toFinding),
    runs: mapFrozen(runs, toRun),
    ...(next === undefined ? {} : { next }),
  };
}

/** A reader of pages, given a reader of their items. */
export function pageOf<Item>(
  read: (wire: Wire<Item>) => Item,
): (wire: { readonly items: readonly Wire<Item>[]; readonly next?: string }) => Page<Item> {
  return ({ items, next }) => ({
    items: mapFrozen(items, read),
    ...(next === undefined ? {} : { next }),
  });
}

function mapFrozen<From, To>(items: readonly From[], read: (item: From) => To): readonly To[] {
  return Object.freeze(items.map((item) => Object.freeze(read(item))));
}

export function toDate(text: string): Date {
  const date = new Date(text);
  if (typeof text !== "string" || Number.isNaN(date.getTime())) throw new TypeError("no date");
  return date;
}

/** What a rollback did, or would do. */
export function toRollback(wire: Wire<Rollback>): Rollback {
  return {
    namespace: wire.namespace,
    scope: wire.scope,
    dryRun: wire.dryRun,
    step: BigInt(wire.step),
    restoredStep: BigInt(wire.restoredStep),
    undoneStep: BigInt(wire.undoneStep),
    source: wire.source,
    quarantined: mapFrozen(wire.quarantined, BigInt),
    states: mapFrozen(wire.states, (state: Wire<RollbackState>): RollbackState => {
      return {
        ...state,
        version: BigInt(state.version),
        newVersion: BigInt(state.newVersion),
        targetVersion: BigInt(state.targetVersion),
      };
    }),
    fenced: Object.freeze(wire.fenced),
    effects: mapFrozen(wire.effects, (effect: Wire<RollbackEffect>): RollbackEffect => {
      return { ...effect, doneAt: toDate(effect.doneAt) };
    }),
    replayed: wire.replayed,
  };
}
