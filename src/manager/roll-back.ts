import { AgentRuntimeError } from "../state/errors.ts";
import type { ErrorCode } from "../state/errors.ts";
import { checkActor, checkCause, checkNamespace, checkScope } from "../state/identifiers.ts";
import type { StateStore } from "../state/ports.ts";
import { quote } from "../state/quote.ts";
import type {
  PlannedState,
  RestoredDocument,
  RollbackPlan,
  ScopeCopy,
} from "../state/recovery-ports.ts";
import { rollbackJson } from "../state/rollback.ts";
import type { HoldOptions, Rollback, RollbackOptions, RollbackSource } from "../state/rollback.ts";
import type { Step } from "../state/state.ts";
import { checkCount } from "./prepare.ts";
import type { Reader } from "./reader.ts";
import type { StateCache } from "./state-cache.ts";

/** The part of the rollback database that going back needs. */
export interface CopyReader {
  /** Null where it holds nothing of the scope. */
  readCopy(namespace: string, scope: string): Promise<ScopeCopy | null>;
}

export interface RecoverySources {
  readonly store: Pick<StateStore, "recovery">;
  readonly cache: StateCache;
  readonly reader: Reader;
  /** Null: there is no rollback database. */
  readonly copies: CopyReader | null;
}

/** What one rollback is about, checked. */
interface Request {
  readonly namespace: string;
  readonly scope: string;
  readonly toStep: Step | null;
  readonly source: RollbackSource | undefined;
}

const RETRY_AFTER_MS = 250;

/**
 * Takes a scope back: plans, proves what it will put there, appends one step.
 *
 * One step back comes from the rollback database, an earlier one from main's history.
 */
export async function rollBack(
  sources: RecoverySources,
  scope: string,
  options: RollbackOptions,
): Promise<Rollback> {
  const request: Request = {
    namespace: checkNamespace(options.namespace ?? "default"),
    scope: checkScope(scope),
    toStep: checkCount(options.toStep, "INVALID_STEP"),
    source: options.source,
  };
  const reason = options.reason === undefined ? null : checkCause(options.reason);
  const actor = options.actor === undefined ? null : checkActor(options.actor);
  const expected = checkCount(options.expectedStep, "INVALID_STEP");

  const plan = await planOf(sources, request);
  const copy = await copyFor(sources, request, plan);
  const planned = describe(request, plan, { source: copy === null ? "history" : "rollback" });
  refuseEarly(request, plan, { expected, planned });
  if (copy !== null) checkCopy(request, plan, { copy, planned });
  if (options.dryRun === true) return planned;

  const answer = await sources.store.recovery.rollBack({
    namespace: request.namespace,
    scope: request.scope,
    expectedStep: plan.head,
    target: plan.target,
    source: planned.source,
    documents: copy === null ? [] : documentsOf(plan, copy),
    reason,
    actor,
  });
  if (answer.refused !== null) throw refusedBy(answer, planned);
  for (const { id, newVersion } of answer.states) {
    const key = { namespace: request.namespace, id };
    sources.reader.outdate(key);
    sources.cache.note(key, newVersion, request.scope);
  }
  return { ...planned, dryRun: false, step: answer.step };
}

/** Stops a scope: it takes no writes, and nothing of it is promoted, until it is released. */
export async function holdScope(
  sources: RecoverySources,
  scope: string,
  options: HoldOptions,
): Promise<void> {
  const namespace = checkNamespace(options.namespace ?? "default");
  const why = {
    reason: options.reason === undefined ? null : checkCause(options.reason),
    by: options.actor === undefined ? null : checkActor(options.actor),
  };
  const exists = await sources.store.recovery.hold(namespace, checkScope(scope), why);
  if (!exists) throw scopeNotFound(namespace, scope);
}

/** Lets a held scope go on. */
export async function releaseScope(
  sources: RecoverySources,
  scope: string,
  options: HoldOptions,
): Promise<void> {
  const namespace = checkNamespace(options.namespace ?? "default");
  const exists = await sources.store.recovery.release(namespace, checkScope(scope));
  if (!exists) throw scopeNotFound(namespace, scope);
}

async function planOf(sources: RecoverySources, request: Request): Promise<RollbackPlan> {
  const { namespace, scope, toStep } = request;
  const plan = await sources.store.recovery.plan(namespace, scope, toStep);
  if (plan === null) throw scopeNotFound(namespace, scope);
  if (plan.target < plan.head) return plan;
  throw new AgentRuntimeError(
    "STEP_NOT_FOUND",
    `Scope ${quote(scope)} is at step ${plan.head}; it can go back to the steps 0 to ${plan.head - 1n}, not ${plan.target}.`,
  );
}

/** The copy that the documents come from; null: they come from history. */
async function copyFor(
  sources: RecoverySources,
  request: Request,
  plan: RollbackPlan,
): Promise<ScopeCopy | null> {
  const { copies } = sources;
  if (request.source === "history" || copies === null) return null;
  const copy = await copies.readCopy(request.namespace, request.scope);
  const holdsTarget = copy !== null && copy.promotedStep === plan.target;
  // Earlier steps are only in main. So is step 0: there is nothing to be restored.
  if (request.source === undefined && request.toStep !== null && !holdsTarget) return null;
  return copy ?? { promotedStep: 0n, pendingStep: 0n, broken: null, states: [] };
}

function describe(
  { namespace, scope }: Request,
  plan: RollbackPlan,
  { source }: { readonly source: RollbackSource },
): Rollback {
  return {
    namespace,
    scope,
    dryRun: true,
    step: plan.head + 1n,
    restoredStep: plan.target,
    undoneStep: plan.head,
    source,
    quarantined: plan.quarantines,
    states: plan.states.map(({ digest: _, terminal: __, ...state }) => state),
  };
}

function refuseEarly(
  { scope }: Request,
  plan: RollbackPlan,
  { expected, planned }: { readonly expected: Step | null; readonly planned: Rollback },
): void {
  if (expected !== null && expected !== plan.head) {
    throw refused("STEP_CONFLICT", planned, {
      sentence: `Scope ${quote(scope)} is at step ${plan.head}, not ${expected}. Look at the plan, decide again.`,
    });
  }
  const over = plan.states.find(({ terminal }) => terminal);
  if (over !== undefined) throw terminalPublished(over.id, planned);
}

function checkCopy(
  { scope }: Request,
  plan: RollbackPlan,
  { copy, planned }: { readonly copy: ScopeCopy; readonly planned: Rollback },
): void {
  if (copy.broken !== null || copy.promotedStep !== plan.target) {
    const why =
      copy.broken ??
      `it holds step ${copy.promotedStep} and knows of ${copy.pendingStep}, the target is ${plan.target}`;
    throw refused("ROLLBACK_LAGS", planned, {
      sentence: `The rollback database cannot serve ${quote(scope)} now (${why}). Try again, or take it from history (source "history").`,
      retryAfterMs: RETRY_AFTER_MS,
    });
  }
  const wrong = copy.states.find(({ verified }) => !verified);
  if (wrong !== undefined) throw copyDiverges(wrong.id, planned);
}

function documentsOf(plan: RollbackPlan, copy: ScopeCopy): RestoredDocument[] {
  const wanted = new Map(plan.states.map((state): [string, PlannedState] => [state.id, state]));
  return copy.states.filter(({ id }) => wanted.has(id));
}

function refusedBy(
  { refused: code, id, detail }: { refused: string; id: string | null; detail: string | null },
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
        sentence: `The history of ${quote(id ?? "")} does not prove its version ${detail}: its digests do not follow from one another. Nothing was changed; run fsck on the scope.`,
      });
    case "HISTORY_PRUNED":
      return refused("HISTORY_PRUNED", planned, {
        sentence: `History no longer holds what ${quote(id ?? "")} was at step ${planned.restoredStep}. Choose a later step.`,
      });
    default:
      return refused(code as ErrorCode, planned, {
        sentence: `Scope ${quote(scope)} moved on to step ${detail} meanwhile. Look at it, decide again.`,
      });
  }
}

function terminalPublished(id: string, planned: Rollback): AgentRuntimeError {
  return refused("TERMINAL_PUBLISHED", planned, {
    sentence: `${quote(id)} is in a phase that nothing leads out of, and the world was told. Make a new state that supersedes it instead.`,
  });
}

function copyDiverges(id: string, planned: Rollback): AgentRuntimeError {
  return refused("COPY_DIVERGES", planned, {
    sentence: `What the rollback database holds of ${quote(id)} is not what main committed. Nothing was changed; run fsck on the scope, or take it from history (source "history").`,
  });
}

function refused(
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
