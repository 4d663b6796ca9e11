import { AgentRuntimeError } from "../state/errors.ts";
import type { ErrorCode } from "../state/errors.ts";
import { quote } from "../state/quote.ts";
import type { RollbackAnswer } from "../state/recovery-ports.ts";
import { rollbackJson } from "../state/rollback.ts";
import type { Rollback } from "../state/rollback.ts";
import type { Step } from "../state/state.ts";

/** Why main refused a rollback, as its caller is told. */
export function refusedBy(
  { refused: code, id, detail }: Extract<RollbackAnswer, { readonly refused: string }>,
  planned: Rollback,
): AgentRuntimeError {
  const { namespace, scope } = planned;
  switch (code) {
    case "SCOPE_NOT_FOUND":
      return scopeNotFound(namespace, scope);
    case "TERMINAL_PUBLISHED":
      return terminalPublished(id ?? scope, planned);
    case "COPY_DIVERGES":
      return copyDiverges(id ?? scope, planned);
    case "HISTORY_BROKEN":
      return refused("HISTORY_BROKEN", planned, {
        sentence: `The history of ${quote(id ?? "")} cannot prove its version ${detail}: the digests do not form a chain. Nothing was changed; run fsck on the scope.`,
      });
    case "HISTORY_PRUNED":
      return refused("HISTORY_PRUNED", planned, {
        sentence: `History no longer holds what ${quote(id ?? "")} was at step ${planned.restoredStep}. Choose a later step.`,
      });
    case "STEP_QUARANTINED":
      return stepQuarantined(scope, planned.restoredStep);
    case "NO_EARLIER_STEP":
      return noEarlierStep(scope, planned.restoredStep);
    case "ILLEGAL_TRANSITION":
      return refused("ILLEGAL_TRANSITION", planned, {
        sentence: `${quote(id ?? "")} was deleted and made again since step ${planned.restoredStep}: no transition leads from its current phase to the one it had. Delete it first, or create a new state.`,
      });
    default:
      return refused(code as ErrorCode, planned, {
        sentence: `Scope ${quote(scope)} moved on to step ${detail} in the meantime. Read it, and decide again.`,
      });
  }
}

/** What is over stays over. */
export function terminalPublished(id: string, planned: Rollback): AgentRuntimeError {
  return refused("TERMINAL_PUBLISHED", planned, {
    sentence: `${quote(id)} is in a terminal phase, which is public and cannot be undone. Create a new state that supersedes it instead.`,
  });
}

/** The copy is not what main committed. */
export function copyDiverges(id: string, planned: Rollback): AgentRuntimeError {
  return refused("COPY_DIVERGES", planned, {
    sentence: `What the rollback database holds of ${quote(id)} is not what main committed. Nothing was changed; run fsck on the scope, or restore from history (source "history").`,
  });
}

/** A step in quarantine is never gone back to. */
export function stepQuarantined(scope: string, step: Step): AgentRuntimeError {
  return new AgentRuntimeError(
    "STEP_QUARANTINED",
    `Step ${step} of scope ${quote(scope)} is in quarantine: it was found confused, or a rollback undid it. Choose another step.`,
    { mayHaveHappened: false, field: "toStep" },
  );
}

/** There is nothing to undo. */
export function noEarlierStep(scope: string, target: Step): AgentRuntimeError {
  return new AgentRuntimeError(
    "NO_EARLIER_STEP",
    `Scope ${quote(scope)} is what it was at step ${target} already: there is nothing to undo.`,
    { mayHaveHappened: false },
  );
}

/** A refusal that carries what would have been done. */
export function refused(
  code: ErrorCode,
  planned: Rollback,
  { sentence, retryAfterMs }: { readonly sentence: string; readonly retryAfterMs?: number },
): AgentRuntimeError {
  return new AgentRuntimeError(code, sentence, {
    mayHaveHappened: false,
    plan: rollbackJson(planned),
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  });
}

/** Nothing was ever written to a scope of that name. */
export function scopeNotFound(namespace: string, scope: string): AgentRuntimeError {
  return new AgentRuntimeError(
    "SCOPE_NOT_FOUND",
    `There is no scope ${quote(scope)} in namespace ${quote(namespace)}: nothing was ever written to it.`,
  );
}
