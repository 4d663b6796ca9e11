import type {
  HoldReason,
  PlannedState,
  RollbackAnswer,
  RollbackOrder,
  RollbackPlan,
} from "../../state/recovery-ports.ts";
import type { Step } from "../../state/state.ts";
import type { Caller, Operation } from "../caller.ts";
import { boolean, text } from "../rows.ts";

const READ_PLAN = {
  fn: "read_rollback_plan",
  parameters: { namespace: "text", scope: "text", target: "bigint" },
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
  readonly targetStep: string;
  readonly quarantines: readonly string[];
  readonly states: readonly (Omit<PlannedState, "version" | "targetVersion" | "phase"> & {
    readonly version: string;
    readonly targetVersion: string;
    readonly phase: string | null;
    readonly targetPhase: string | null;
  })[];
}

interface AnswerJson {
  readonly refused?: string;
  readonly id?: string | null;
  readonly detail?: string | null;
  readonly step: string;
  readonly states: readonly { readonly id: string; readonly newVersion: string }[];
}

/** What going back would take; null where the scope was never written to. */
export async function readRollbackPlan(
  caller: Caller,
  key: { readonly namespace: string; readonly scope: string },
  target: Step | null,
): Promise<RollbackPlan | null> {
  const [row] = await caller.call(READ_PLAN, { ...key, target });
  if (row?.[0] === null || row === undefined) return null;
  const plan = JSON.parse(text(row, 0)) as PlanJson;
  return {
    head: BigInt(plan.step),
    target: BigInt(plan.targetStep),
    quarantines: plan.quarantines.map(BigInt),
    states: plan.states.map(({ id, type, action, digest, terminal, ...state }) => ({
      id,
      type,
      action,
      digest,
      terminal,
      version: BigInt(state.version),
      targetVersion: BigInt(state.targetVersion),
      phase: action === "delete" ? state.phase : state.targetPhase,
    })),
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
  });
  const answer = JSON.parse(text(row!, 0)) as AnswerJson;
  if (answer.refused !== undefined) {
    return { refused: answer.refused, id: answer.id ?? null, detail: answer.detail ?? null };
  }
  return {
    refused: null,
    step: BigInt(answer.step),
    states: answer.states.map(({ id, newVersion }) => ({ id, newVersion: BigInt(newVersion) })),
  };
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
