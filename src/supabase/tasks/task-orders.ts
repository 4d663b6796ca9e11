import type {
  EffectAnswer,
  EffectOrder,
  EndedWorker,
  Heartbeat,
  Holder,
  ReportAnswer,
  Sweep,
  TaskEvent,
  Why,
} from "../../state/task-port.ts";
import type { EffectStanding } from "../../state/task.ts";
import type { Caller, Operation } from "../caller.ts";
import { boolean, date, optional, text } from "../rows.ts";

const HEARTBEAT = {
  fn: "heartbeat",
  parameters: { namespace: "text", worker: "text", incarnation: "text", lease_ms: "integer" },
  columns: ["lease_until", "cancel", "preempt", "fenced"],
  writes: true,
} as const satisfies Operation;

const END_LEASES = {
  fn: "end_leases",
  parameters: { namespace: "text", worker: "text", before: "timestamptz" },
  columns: ["taken_over"],
  writes: true,
} as const satisfies Operation;

const SWEEP_TASKS = {
  fn: "sweep_tasks",
  parameters: { limit: "integer", crash_budget: "integer" },
  columns: [
    "taken_over",
    "rung",
    "reconciled",
    "more",
    "next_due",
    "interrupted",
    "failed",
    "canceled",
  ],
  writes: true,
} as const satisfies Operation;

const CANCEL_TASK = {
  fn: "cancel_task",
  parameters: { namespace: "text", id: "text", reason: "text", actor: "text" },
  columns: ["code", "id", "phase"],
  writes: true,
} as const satisfies Operation;

const ANSWER_TASK = {
  fn: "answer_task",
  parameters: { namespace: "text", id: "text", event: "text", data: "text", actor: "text" },
  columns: ["code", "phase"],
  writes: true,
} as const satisfies Operation;

const RETRY_TASK = {
  fn: "retry_task",
  parameters: { namespace: "text", id: "text", reason: "text", actor: "text" },
  columns: ["code", "phase"],
  writes: true,
} as const satisfies Operation;

const RECORD_EFFECT = {
  fn: "record_effect",
  parameters: {
    namespace: "text",
    id: "text",
    epoch: "bigint",
    key: "text",
    is_done: "boolean",
    receipt: "text",
    again: "boolean",
  },
  columns: ["code", "standing", "receipt"],
  writes: true,
} as const satisfies Operation;

/** Goes on with a worker's lease. */
export async function heartbeat(
  caller: Caller,
  namespace: string,
  { worker, incarnation, leaseMs }: Holder,
): Promise<Heartbeat> {
  const order = { namespace, worker, incarnation, lease_ms: leaseMs };
  const [row] = await caller.call(HEARTBEAT, order);
  const ids = (column: number): string[] => JSON.parse(text(row!, column)) as string[];
  return { leaseUntil: date(row!, 0), cancel: ids(1), preempt: ids(2), fenced: ids(3) };
}

/** Takes from a worker that is gone what it held. */
export async function endLeases(
  caller: Caller,
  namespace: string,
  { worker, before }: EndedWorker,
): Promise<number> {
  const order = { namespace, worker, before };
  const [row] = await caller.call(END_LEASES, order);
  return Number(row![0]);
}

/** Does what is due; null where another process is at it. */
export async function sweepTasks(
  caller: Caller,
  limit: number,
  crashBudget: number,
): Promise<Sweep | null> {
  const [row] = await caller.call(SWEEP_TASKS, { limit, crash_budget: crashBudget });
  if (row === undefined) return null;
  return {
    takenOver: Number(row[0]),
    rung: Number(row[1]),
    reconciled: Number(row[2]),
    more: boolean(row, 3),
    nextDue: optional(row, 4, date),
    interrupted: Number(row[5]),
    failed: Number(row[6]),
    canceled: Number(row[7]),
  };
}

/** Cancels a task and all that it pushed. */
export async function cancelTask(
  caller: Caller,
  key: { readonly namespace: string; readonly id: string },
  why: Why,
): Promise<{ code: string | null; id: string; phase: string | null }[]> {
  const rows = await caller.call(CANCEL_TASK, { ...key, ...why });
  return rows.map((row) => ({ code: row[0] ?? null, id: text(row, 1), phase: row[2] ?? null }));
}

/** Gives a task what it waits for. */
export async function answerTask(
  caller: Caller,
  key: { readonly namespace: string; readonly id: string },
  { event, data, actor }: TaskEvent & { readonly actor: string | null },
): Promise<ReportAnswer> {
  const [row] = await caller.call(ANSWER_TASK, { ...key, event, data, actor });
  return { code: row![0] ?? null, phase: row![1] ?? null, wanted: null };
}

/** Lets a confused task run again. */
export async function retryTask(
  caller: Caller,
  key: { readonly namespace: string; readonly id: string },
  why: Why,
): Promise<ReportAnswer> {
  const [row] = await caller.call(RETRY_TASK, { ...key, ...why });
  return { code: row![0] ?? null, phase: row![1] ?? null, wanted: null };
}

/** Tells what a task does outside, before and after. */
export async function recordEffect(
  caller: Caller,
  namespace: string,
  { id, epoch, key, receipt, again }: EffectOrder,
): Promise<EffectAnswer> {
  const order = { namespace, id, epoch, key, is_done: receipt !== null, receipt, again };
  const [row] = await caller.call(RECORD_EFFECT, order);
  return {
    code: row![0] ?? null,
    standing: (row![1] ?? null) as EffectStanding | null,
    receipt: row![2] ?? null,
  };
}
