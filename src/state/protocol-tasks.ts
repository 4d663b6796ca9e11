import type { Json, JsonObject } from "./json.ts";
import { taskPhases } from "./lifecycle-tables.ts";
import type { Task } from "./task.ts";

/** Under which our own words travel beside a protocol's: in `metadata` of A2A, in `_meta` of MCP. */
export const TASK_EXTENSION = "agent-runtime/task";

/** A phase of the task lifecycle. */
export type TaskPhase = (typeof taskPhases)[number];

/** What the protocols are told of a task; 64-bit numbers as text. */
export interface TaskStanding {
  readonly phase: TaskPhase;
  readonly attempt: number;
  readonly version: string;
  readonly epoch: string;
  readonly seq: string | null;
  readonly depth: number;
  /** Of a task that failed: whether what it was to do failed, or the call for it. */
  readonly errorKind: "tool" | "protocol" | null;
  readonly reason: string | null;
}

/** The states of a task in A2A 1.0. */
export type A2aTaskState =
  | "TASK_STATE_UNSPECIFIED"
  | "TASK_STATE_SUBMITTED"
  | "TASK_STATE_WORKING"
  | "TASK_STATE_INPUT_REQUIRED"
  | "TASK_STATE_AUTH_REQUIRED"
  | "TASK_STATE_COMPLETED"
  | "TASK_STATE_FAILED"
  | "TASK_STATE_CANCELED"
  | "TASK_STATE_REJECTED";

/** The states of a task in MCP (2026-07-28). */
export type McpTaskStatus = "working" | "input_required" | "completed" | "failed" | "cancelled";

/** A task in the terms of A2A 1.0. */
export interface A2aTask {
  readonly state: A2aTaskState;
  readonly metadata?: JsonObject;
}

/** A task in the terms of MCP. */
export interface McpTask {
  readonly status: McpTaskStatus;
  /** What `working` hides. */
  readonly statusMessage?: string;
  /** Whether its result is to say `isError`. */
  readonly isError: boolean;
  readonly _meta?: JsonObject;
}

const A2A: Readonly<Record<TaskPhase, A2aTaskState>> = {
  submitted: "TASK_STATE_SUBMITTED",
  ready: "TASK_STATE_WORKING",
  working: "TASK_STATE_WORKING",
  suspended: "TASK_STATE_WORKING",
  waiting: "TASK_STATE_WORKING",
  canceling: "TASK_STATE_WORKING",
  input_required: "TASK_STATE_INPUT_REQUIRED",
  auth_required: "TASK_STATE_AUTH_REQUIRED",
  confused: "TASK_STATE_UNSPECIFIED",
  completed: "TASK_STATE_COMPLETED",
  failed: "TASK_STATE_FAILED",
  canceled: "TASK_STATE_CANCELED",
  rejected: "TASK_STATE_REJECTED",
};

const MCP: Readonly<Record<TaskPhase, McpTaskStatus>> = {
  submitted: "working",
  ready: "working",
  working: "working",
  suspended: "working",
  waiting: "working",
  canceling: "working",
  confused: "working",
  input_required: "input_required",
  auth_required: "input_required",
  completed: "completed",
  failed: "failed",
  canceled: "cancelled",
  rejected: "failed",
};

/** What a state of A2A means where nothing of ours came with it. */
const MEANT_BY_A2A: Readonly<Record<A2aTaskState, TaskPhase>> = {
  TASK_STATE_UNSPECIFIED: "confused",
  TASK_STATE_SUBMITTED: "submitted",
  TASK_STATE_WORKING: "working",
  TASK_STATE_INPUT_REQUIRED: "input_required",
  TASK_STATE_AUTH_REQUIRED: "auth_required",
  TASK_STATE_COMPLETED: "completed",
  TASK_STATE_FAILED: "failed",
  TASK_STATE_CANCELED: "canceled",
  TASK_STATE_REJECTED: "rejected",
};

const MEANT_BY_MCP: Readonly<Record<McpTaskStatus, TaskPhase>> = {
  working: "working",
  input_required: "input_required",
  completed: "completed",
  failed: "failed",
  cancelled: "canceled",
};

/** The standing of a task of ours; `version` is that of its state. */
export function standingOf(task: Task, version: bigint): TaskStanding {
  const { attempt, depth, epoch, seq, error } = task;
  const phase = isTaskPhase(task.phase) ? task.phase : "confused";
  const told = typeof error === "object" && error !== null && !Array.isArray(error) ? error : {};
  const { message, errorKind } = told as { readonly message?: Json; readonly errorKind?: Json };
  return {
    phase,
    attempt,
    version: String(version),
    epoch: String(epoch),
    seq: seq === null ? null : String(seq),
    depth,
    // What a handler throws is a failure of what it does; that of a call says so.
    errorKind: phase !== "failed" ? null : errorKind === "protocol" ? "protocol" : "tool",
    reason: typeof message === "string" ? message : null,
  };
}

/** A task as A2A tells it. */
export function toA2a(standing: TaskStanding): A2aTask {
  const { phase, attempt } = standing;
  const state = phase === "ready" && attempt === 0 ? A2A.submitted : A2A[phase];
  return { state, metadata: { [TASK_EXTENSION]: { ...standing } } };
}

/** And back: as it was with us, or what the word means where it is somebody else's, or was changed on its way. */
export function fromA2a({ state, metadata }: A2aTask): TaskStanding {
  const own = ours(metadata);
  if (own !== undefined && toA2a(own).state === state) return own;
  const phase = MEANT_BY_A2A[state];
  return foreign(phase, phase === "failed" ? "protocol" : null);
}

/** A task as MCP tells it. There a call that failed is told from what it was to do: that completes, with an error. */
export function toMcp(standing: TaskStanding): McpTask {
  const { phase, errorKind } = standing;
  const isError = phase === "failed" && errorKind === "tool";
  const status = isError ? "completed" : MCP[phase];
  return {
    status,
    ...(status === "working" && phase !== "working" ? { statusMessage: phase } : {}),
    isError,
    _meta: { [TASK_EXTENSION]: { ...standing } },
  };
}

/** And back, as `fromA2a`. */
export function fromMcp({ status, isError, _meta: meta }: McpTask): TaskStanding {
  const own = ours(meta);
  if (own !== undefined && toMcp(own).status === status && toMcp(own).isError === isError)
    return own;
  const failed = status === "failed" || (status === "completed" && isError);
  const kind = status === "failed" ? "protocol" : "tool";
  return foreign(failed ? "failed" : MEANT_BY_MCP[status], failed ? kind : null);
}

/** What of ours came with it; undefined where that is not whole. */
function ours(extensions: JsonObject = {}): TaskStanding | undefined {
  const came = extensions[TASK_EXTENSION];
  if (typeof came !== "object" || came === null || Array.isArray(came)) return undefined;
  const { phase, attempt, version, epoch, seq, depth, errorKind, reason } = came as JsonObject;
  const isWhole =
    typeof phase === "string" &&
    isTaskPhase(phase) &&
    isCount(attempt) &&
    isCount(depth) &&
    isLong(version) &&
    isLong(epoch) &&
    (seq === null || isLong(seq)) &&
    (errorKind === null || errorKind === "tool" || errorKind === "protocol") &&
    (reason === null || typeof reason === "string");
  if (!isWhole) return undefined;
  return { phase, attempt, version, epoch, seq, depth, errorKind, reason };
}

function foreign(phase: TaskPhase, errorKind: TaskStanding["errorKind"]): TaskStanding {
  const attempt = phase === "submitted" ? 0 : 1;
  const plain = { version: "0", epoch: "0", seq: null, depth: 0, reason: null };
  return { ...plain, phase, attempt, errorKind };
}

function isTaskPhase(phase: string): phase is TaskPhase {
  return (taskPhases as readonly string[]).includes(phase);
}

function isCount(value: Json | undefined): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 0;
}

function isLong(value: Json | undefined): value is string {
  return typeof value === "string" && /^\d{1,19}$/.test(value);
}
