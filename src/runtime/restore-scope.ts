import type { RestorableScope } from "../state/restore-port.ts";
import type { ScopeName } from "../state/rollback-port.ts";
import type { Step } from "../state/state.ts";

/** How far a restore goes: all that was copied, or up to what a rollback of each scope would have restored. */
export type RestoreUntil = "newest" | "promoted";

/** What of a scope is not there after a restore, or is not sure. */
export interface ScopeLoss extends ScopeName {
  /** The step that it is at; 0: nothing of it is there. */
  readonly restoredStep: Step;
  /** The first step that is lost; null: none is known to be. */
  readonly lostFrom: Step | null;
  /** The last one that is known of; null where main went on after it. */
  readonly lostTo: Step | null;
  readonly why: string;
  /** Which state and version of it did not prove, where it is one. */
  readonly id: string | null;
  readonly version: bigint | null;
  /** Whether it is on hold until somebody has looked. */
  readonly hold: boolean;
}

/** What becomes of a scope. */
export interface Judgement {
  readonly step: Step;
  /** Why it is put on hold; null: it is not. */
  readonly hold: string | null;
  /** Null: nothing of it is known to be lost, and nothing speaks against it. */
  readonly loss: ScopeLoss | null;
  /** Whether its copy is made anew from the new main; else it is kept as it is, as evidence. */
  readonly renewsCopy: boolean;
}

/** Decides up to which step a scope is restored, and what that leaves out. */
export function judgeScope(scope: RestorableScope, until: RestoreUntil): Judgement {
  const { provenStep, promotedStep, knownStep, isMoreKnown, fault, doubt } = scope;
  const proven = provenStep ?? 0n;
  const step = until === "promoted" && promotedStep < proven ? promotedStep : proven;
  const isCut = step < knownStep;
  const hold = step === 0n ? null : holdOf(scope, step);
  const why = reasonOf(scope, step);
  const isWhole = !isCut && !isMoreKnown && fault === null && doubt === null;
  return {
    step,
    hold,
    renewsCopy: fault === null && doubt === null,
    loss: isWhole
      ? null
      : {
          namespace: scope.namespace,
          scope: scope.scope,
          restoredStep: step,
          lostFrom: isCut || isMoreKnown ? step + 1n : null,
          lostTo: isCut && !isMoreKnown ? knownStep : null,
          why,
          id: fault?.id ?? null,
          version: fault?.version ?? null,
          hold: hold !== null,
        },
  };
}

function holdOf({ hold, fault, doubt }: RestorableScope, step: Step): string | null {
  if (fault !== null) return `restored to step ${step} only: its copy does not prove further`;
  if (doubt !== null) return `its copy and the main that was lost differed: ${doubt}`;
  return hold ? "it was on hold when main was lost" : null;
}

function reasonOf(scope: RestorableScope, step: Step): string {
  const { fault, doubt, provenStep, isMoreKnown } = scope;
  if (fault !== null) return `step ${fault.step} of its copy: ${fault.why}`;
  if (doubt !== null) return `main and its copy differed: ${doubt}`;
  if (provenStep !== null && step < provenStep) return "left out, as --promoted was said";
  return isMoreKnown && step > 0n
    ? "main had newer steps that were not copied"
    : "its copy was not whole";
}
