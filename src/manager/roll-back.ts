import { AgentRuntimeError, isUncertain } from "../state/errors.ts";
import {
  checkActor,
  checkCause,
  checkIdempotencyKey,
  checkNamespace,
  checkScope,
} from "../state/identifiers.ts";
import { switchIn, wordIn } from "../state/fields.ts";
import type { StateStore } from "../state/ports.ts";
import { quote } from "../state/quote.ts";
import type {
  PlannedState,
  Replayed,
  RestoredDocument,
  RollbackAnswer,
  RollbackPlan,
  RollbackRequest,
  ScopeCopy,
} from "../state/recovery-ports.ts";
import { ROLLBACK_SOURCES } from "../state/rollback.ts";
import type {
  HoldOptions,
  Rollback,
  RollbackOptions,
  RollbackSource,
  RollbackState,
} from "../state/rollback.ts";
import type { CopyStanding, ScopeName } from "../state/rollback-port.ts";
import type { Step } from "../state/state.ts";
import { checkCount } from "./prepare.ts";
import type { Reader } from "./reader.ts";
import {
  copyDiverges,
  noEarlierStep,
  refused,
  refusedBy,
  scopeNotFound,
  stepQuarantined,
  terminalPublished,
} from "./roll-back-refusal.ts";
import type { StateCache } from "./state-cache.ts";

/** The part of the rollback database that going back needs. */
export interface CopyReader {
  /** Null where it holds nothing of the scope. */
  readCopy(namespace: string, scope: string): Promise<ScopeCopy | null>;
  standing(scope: ScopeName): Promise<CopyStanding | null>;
}

export interface RecoverySources {
  readonly store: Pick<StateStore, "recovery">;
  readonly cache: StateCache;
  readonly reader: Reader;
  /** Null: there is no rollback database. */
  readonly copies: CopyReader | null;
}

/** What one rollback is about, checked. */
interface Request extends RollbackRequest {
  readonly source: RollbackSource | undefined;
  readonly expected: Step | null;
  readonly reason: string | null;
  readonly actor: string | null;
  readonly dryRun: boolean;
}

const RETRY_AFTER_MS = 250;

/**
 * Takes a scope back: plans, proves what it will put there, appends one step.
 *
 * One step back comes from the rollback database, an earlier one from main's history.
 *
 * @param onSent told right before main is asked to do it.
 */
export async function rollBack(
  sources: RecoverySources,
  scope: string,
  { onSent, ...options }: RollbackOptions & { readonly onSent?: () => void },
): Promise<Rollback> {
  const request = requestOf(scope, options);
  const plan = await planOf(sources, request);
  if ("replayed" in plan) return replayedBy(request, plan);
  const { copy, planned } = await prepare(sources, request, plan);
  if (request.dryRun) return planned;
  onSent?.();
  const answer = await execute(sources, request, { plan, copy, planned });
  if (answer.refused === null) {
    const { step, effects } = answer;
    return { ...planned, dryRun: false, step, effects };
  }
  // Perhaps it was the same call, with the same key, that was faster.
  if (answer.refused === "STEP_CONFLICT" && request.idempotencyKey !== null) {
    const again = await planOf(sources, request);
    if ("replayed" in again) return replayedBy(request, again);
  }
  throw refusedBy(answer, planned);
}

function requestOf(scope: string, options: RollbackOptions): Request {
  const { source, reason, actor, dryRun, idempotencyKey } = options;
  return {
    namespace: checkNamespace(options.namespace ?? "default"),
    scope: checkScope(scope),
    toStep: checkCount(options.toStep, "INVALID_STEP"),
    expected: checkCount(options.expectedStep, "INVALID_STEP"),
    source: wordIn({ source }, "source", ROLLBACK_SOURCES),
    reason: reason === undefined ? null : checkCause(reason),
    actor: actor === undefined ? null : checkActor(actor),
    idempotencyKey: idempotencyKey === undefined ? null : checkIdempotencyKey(idempotencyKey),
    dryRun: switchIn({ dryRun }, "dryRun") ?? false,
  };
}

function replayedBy(request: Request, { replayed }: Replayed): Rollback {
  const { namespace, scope, idempotencyKey } = request;
  if (replayed !== null) return { namespace, scope, ...replayed };
  throw new AgentRuntimeError(
    "IDEMPOTENCY_KEY_REUSED",
    `The idempotency key ${quote(idempotencyKey ?? "")} was used for something else. Use another key.`,
    { mayHaveHappened: false },
  );
}

/** What will be put there, and from where; throws where something speaks against it. */
async function prepare(
  sources: RecoverySources,
  request: Request,
  plan: RollbackPlan,
): Promise<{ readonly copy: ScopeCopy | null; readonly planned: Rollback }> {
  refuseTarget(request, plan);
  const copy = await copyFor(sources, request, plan);
  const planned = describe(request, plan, copy);
  refuseEarly(request, plan, planned);
  if (copy !== null) checkCopy(plan, { copy, planned });
  return { copy, planned };
}

/** Appends the step; what is known here of its states is out of date then, or may be. */
async function execute(
  sources: RecoverySources,
  request: Request,
  { plan, copy, planned }: { plan: RollbackPlan; copy: ScopeCopy | null; planned: Rollback },
): Promise<RollbackAnswer> {
  const { namespace, scope, toStep, idempotencyKey, reason, actor } = request;
  const keys = planned.states.map(({ id }) => ({ namespace, id }));
  try {
    const answer = await sources.store.recovery.rollBack({
      namespace,
      scope,
      toStep,
      idempotencyKey,
      reason,
      actor,
      expectedStep: plan.head,
      target: plan.target,
      source: planned.source,
      documents: copy === null ? [] : documentsOf(plan, copy),
    });
    if (answer.refused !== null) return answer;
    keys.forEach((key, index) => {
      sources.reader.outdate(key);
      sources.cache.note(key, { version: planned.states[index]!.newVersion, scope });
    });
    return answer;
  } catch (error) {
    for (const key of isUncertain(error) ? keys : []) {
      sources.reader.outdate(key);
      sources.cache.forget(key);
    }
    throw error;
  }
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

async function planOf(
  sources: RecoverySources,
  request: Request,
): Promise<RollbackPlan | Replayed> {
  const plan = await sources.store.recovery.plan(request);
  if (plan === null) throw scopeNotFound(request.namespace, request.scope);
  return plan;
}

/** Refuses what no plan can be made of: there is nothing to go back to. */
function refuseTarget({ scope, toStep }: Request, plan: RollbackPlan): void {
  const { head, target } = plan;
  if (target >= head) {
    throw new AgentRuntimeError(
      "STEP_NOT_FOUND",
      `Scope ${quote(scope)} is at step ${head}; it can go back to the steps 0 to ${head - 1n}, not ${target}.`,
      { field: "toStep" },
    );
  }
  if (plan.targetQuarantined) throw stepQuarantined(scope, target);
  if (plan.states.length > 0 && (toStep !== null || plan.effective > 0n)) return;
  throw noEarlierStep(scope, target);
}

/** The copy that the documents come from; null: they come from history. */
async function copyFor(
  sources: RecoverySources,
  request: Request,
  plan: RollbackPlan,
): Promise<ScopeCopy | null> {
  const { copies } = sources;
  if (request.source === "rollback" && copies === null) {
    throw new AgentRuntimeError(
      "INVALID_REQUEST",
      'There is no rollback database to take it from; leave `source` out, or say "history".',
      { field: "source" },
    );
  }
  if (request.source === "history" || copies === null) return null;
  const copy = await copies.readCopy(request.namespace, request.scope).catch(outOfReach);
  if (request.source === undefined) {
    const promoted = copy?.promotedStep ?? 0n;
    // It holds one step: earlier ones are only in main. So it is when going back twice, after which it holds the one that
    // was restored first, and waiting would not change that.
    if (request.toStep === null ? promoted > plan.target : promoted !== plan.target) return null;
  }
  return copy ?? { promotedStep: 0n, pendingStep: 0n, broken: null, states: [] };
}

/** A rollback database that is away: of what would be taken from there it says why not, like of one that lags. */
function outOfReach(error: unknown): ScopeCopy {
  if (!(error instanceof AgentRuntimeError) || error.code !== "UNAVAILABLE") throw error;
  return { promotedStep: 0n, pendingStep: 0n, broken: "it cannot be reached", states: [] };
}

function describe(
  { namespace, scope }: Request,
  plan: RollbackPlan,
  copy: ScopeCopy | null,
): Rollback {
  const copied = new Map(copy?.states.map((state) => [state.id, state]));
  return {
    namespace,
    scope,
    dryRun: true,
    step: plan.head + 1n,
    restoredStep: plan.target,
    undoneStep: plan.head,
    source: copy === null ? "history" : "rollback",
    quarantined: plan.quarantines,
    states: plan.states.map((state) => plannedState(state, copied.get(state.id))),
    fenced: plan.states.filter(({ fenced }) => fenced).map(({ id }) => id),
    effects: plan.effects,
    replayed: false,
  };
}

/** What will become of a state; where history forgot what it was, the copy knows. */
function plannedState(state: PlannedState, copied: RestoredDocument | undefined): RollbackState {
  const { id, type, action, version, newVersion, supersededBy } = state;
  const { targetVersion, phase } = state;
  const was =
    state.kept || copied === undefined
      ? { targetVersion, phase }
      : { targetVersion: copied.version, phase: copied.phase };
  if (supersededBy !== undefined || action === "keep") was.phase = state.phase;
  const next = supersededBy === undefined ? {} : { supersededBy };
  return { id, type, action, version, newVersion, ...next, ...was };
}

function refuseEarly({ scope, expected }: Request, plan: RollbackPlan, planned: Rollback): void {
  if (expected !== null && expected !== plan.head) {
    throw refused("STEP_CONFLICT", planned, {
      sentence: `Scope ${quote(scope)} is at step ${plan.head}, not ${expected}. Look at the plan, decide again.`,
    });
  }
  const over = plan.states.find(({ undone }) => undone !== null);
  if (over !== undefined) throw terminalPublished(over.id, planned);
}

function checkCopy(
  plan: RollbackPlan,
  { copy, planned }: { readonly copy: ScopeCopy; readonly planned: Rollback },
): void {
  if (copy.broken !== null || copy.promotedStep !== plan.target) {
    const why =
      copy.broken ??
      `it holds step ${copy.promotedStep} and knows of ${copy.pendingStep}, the target is ${plan.target}`;
    throw refused("ROLLBACK_LAGS", planned, {
      sentence: `The rollback database cannot serve ${quote(planned.scope)} now (${why}). Try again, or take it from history (source "history").`,
      retryAfterMs: RETRY_AFTER_MS,
    });
  }
  const wanted = new Set(plan.states.map(({ id }) => id));
  const wrong = copy.states.find(({ id, verified }) => wanted.has(id) && !verified);
  if (wrong !== undefined) throw copyDiverges(wrong.id, planned);
}

function documentsOf(plan: RollbackPlan, copy: ScopeCopy): RestoredDocument[] {
  const wanted = new Map(plan.states.map((state): [string, PlannedState] => [state.id, state]));
  return copy.states.filter(({ id }) => wanted.has(id));
}
