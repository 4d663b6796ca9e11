import type {
  HoldReason,
  PlannedState,
  Replayed,
  RollbackAnswer,
  RollbackOrder,
  RollbackPlan,
  RollbackRequest,
} from "../../state/recovery-ports.ts";
import type { RollbackEffect, RollbackSource, RollbackState } from "../../state/rollback.ts";
import type { Caller, Operation } from "../caller.ts";
import { boolean, text } from "../rows.ts";

const READ_PLAN = {
  fn: "read_rollback_plan",
  parameters: { namespace: "text", scope: "text", asked: "bigint", key: "text" },
  columns: ["read_rollback_plan"],
  writes: false,
} as const satisfies Operation;

const ROLLBACK_SCOPE = {
  fn: "rollback_scope",
  parameters: {
    namespace: "text",
    scope: "text",
    expected: "bigint",
    target: "bigint",
    source: "text",
    id: "text[]",
    version: "bigint[]",
    digest: "text[]",
    phase: "text[]",
    body: "json[]",
    reason: "text",
    actor: "text",
    writer: "integer",
    key: "text",
    asked: "bigint",
  },
  columns: ["rollback_scope"],
  writes: true,
} as const satisfies Operation;

const HOLD_SCOPE = {
  fn: "hold_scope",
  parameters: { namespace: "text", scope: "text", reason: "text", by: "text" },
  columns: ["hold_scope"],
  writes: true,
} as const satisfies Operation;

const RELEASE_SCOPE = {
  fn: "release_scope",
  parameters: { namespace: "text", scope: "text" },
  columns: ["release_scope"],
  writes: true,
} as const satisfies Operation;

/** The JSON that `read_rollback_plan` answers. */
interface PlanJson {
  readonly step: string;
  readonly effectiveStep: string;
  readonly targetStep: string;
  readonly targetQuarantined: boolean;
  readonly quarantines: readonly string[];
  readonly states: readonly (StateJson & Pick<PlannedState, "digest" | "kept" | "undone">)[];
  readonly effects: readonly EffectJson[];
}

/** What a rollback did. */
interface ReportJson {
  readonly step: string;
  readonly restoredStep: string;
  readonly undoneStep: string;
  readonly source: RollbackSource;
  readonly quarantines: readonly string[];
  readonly states: readonly StateJson[];
  readonly effects: readonly EffectJson[];
}

interface EffectJson extends Omit<RollbackEffect, "doneAt"> {
  readonly doneAt: string;
}

interface StateJson extends Pick<RollbackState, "id" | "type" | "action"> {
  readonly version: string;
  readonly targetVersion: string;
  readonly phase: string | null;
  readonly targetPhase: string | null;
  readonly supersededBy?: string | null;
  readonly fenced?: boolean;
}

interface AnswerJson {
  readonly refused?: string;
  readonly id?: string | null;
  readonly detail?: string | null;
  readonly step: string;
  readonly effects: readonly EffectJson[];
}

/** What going back would take; null where the scope was never written to. */
export async function readRollbackPlan(
  caller: Caller,
  { namespace, scope, toStep, idempotencyKey }: RollbackRequest,
): Promise<RollbackPlan | Replayed | null> {
  const asked = { namespace, scope, asked: toStep, key: idempotencyKey };
  const [row] = await caller.call(READ_PLAN, asked);
  if (row?.[0] === null || row === undefined) return null;
  const plan = JSON.parse(text(row, 0)) as PlanJson | { readonly replayed: ReportJson | null };
  if ("replayed" in plan) return { replayed: plan.replayed && reported(plan.replayed) };
  return {
    head: BigInt(plan.step),
    effective: BigInt(plan.effectiveStep),
    targetQuarantined: plan.targetQuarantined,
    target: BigInt(plan.targetStep),
    quarantines: plan.quarantines.map(BigInt),
    states: plan.states.map(({ digest, kept, undone, ...state }) => ({
      ...stateOf(state),
      digest,
      kept,
      fenced: state.fenced === true,
      undone,
    })),
    effects: plan.effects.map(effectOf),
  };
}

function reported(report: ReportJson): Replayed["replayed"] {
  return {
    dryRun: false,
    step: BigInt(report.step),
    restoredStep: BigInt(report.restoredStep),
    undoneStep: BigInt(report.undoneStep),
    source: report.source,
    quarantined: report.quarantines.map(BigInt),
    states: report.states.map(stateOf),
    fenced: report.states.filter(({ fenced }) => fenced === true).map(({ id }) => id),
    effects: report.effects.map(effectOf),
    replayed: true,
  };
}

function effectOf({ doneAt, ...effect }: EffectJson): RollbackEffect {
  return { ...effect, doneAt: new Date(doneAt) };
}

function stateOf({ id, type, action, supersededBy, ...state }: StateJson): RollbackState {
  const version = BigInt(state.version);
  return {
    id,
    type,
    action,
    version,
    newVersion: action === "supersede" || action === "keep" ? version : version + 1n,
    targetVersion: BigInt(state.targetVersion),
    phase: action === "delete" ? state.phase : state.targetPhase,
    ...(typeof supersededBy === "string" ? { supersededBy } : {}),
  };
}

/** Goes back, or says why not. */
export async function rollbackScope(
  caller: Caller,
  order: RollbackOrder,
  writer: number,
): Promise<RollbackAnswer> {
  const { documents } = order;
  const [row] = await caller.call(ROLLBACK_SCOPE, {
    namespace: order.namespace,
    scope: order.scope,
    expected: order.expectedStep,
    target: order.target,
    source: order.source,
    id: documents.map(({ id }) => id),
    version: documents.map(({ version }) => version),
    digest: documents.map(({ digest }) => digest),
    phase: documents.map(({ phase }) => phase),
    body: documents.map((document) => document.text),
    reason: order.reason,
    actor: order.actor,
    writer,
    key: order.idempotencyKey,
    asked: order.toStep,
  });
  const answer = JSON.parse(text(row!, 0)) as AnswerJson;
  if (answer.refused !== undefined) {
    return { refused: answer.refused, id: answer.id ?? null, detail: answer.detail ?? null };
  }
  return { refused: null, step: BigInt(answer.step), effects: answer.effects.map(effectOf) };
}

/** Stops a scope; whether there is one. */
export async function holdScope(
  caller: Caller,
  key: { readonly namespace: string; readonly scope: string },
  { reason, by }: HoldReason,
): Promise<boolean> {
  const [row] = await caller.call(HOLD_SCOPE, { ...key, reason, by });
  return boolean(row!, 0);
}

/** Lets a scope go on; whether there is one. */
export async function releaseScope(
  caller: Caller,
  key: { readonly namespace: string; readonly scope: string },
): Promise<boolean> {
  const [row] = await caller.call(RELEASE_SCOPE, key);
  return boolean(row!, 0);
}
