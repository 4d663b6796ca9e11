import type { PreparedPush, PushAnswer } from "../../state/task-port.ts";
import type { Caller, Operation } from "../caller.ts";
import { bigint, date, optional, text } from "../rows.ts";

const PUSH_TASKS = {
  fn: "push_tasks",
  parameters: {
    namespace: "text",
    stack: "text[]",
    id: "text[]",
    kind: "text[]",
    input: "json[]",
    priority: "integer[]",
    preempt: "text[]",
    run_at: "timestamptz[]",
    delay_ms: "bigint[]",
    parent: "text[]",
    parent_epoch: "bigint[]",
    deadline: "timestamptz[]",
    max_attempts: "integer[]",
    backoff_ms: "integer[]",
    max_backoff_ms: "integer[]",
    supersedes: "text[]",
    key: "text[]",
    actor: "text",
    max_depth: "integer",
    data_bytes: "integer",
    traceparent: "text[]",
  },
  columns: [
    "n",
    "code",
    "detail",
    "id",
    "stack",
    "kind",
    "phase",
    "seq",
    "priority",
    "depth",
    "parent",
    "run_at",
    "created_at",
  ],
  writes: true,
} as const satisfies Operation;

/** Pushes tasks, each with its own fate, in the order given. */
export async function pushTasks(
  caller: Caller,
  namespace: string,
  {
    pushes,
    actor,
    maxDepth,
    dataBytes,
  }: {
    readonly pushes: readonly PreparedPush[];
    readonly actor: string | null;
    readonly maxDepth: number;
    readonly dataBytes: number;
  },
): Promise<PushAnswer[]> {
  const rows = await caller.call(PUSH_TASKS, {
    namespace,
    stack: pushes.map(({ stack }) => stack),
    id: pushes.map(({ id }) => id),
    kind: pushes.map(({ kind }) => kind),
    input: pushes.map(({ input }) => input),
    priority: pushes.map(({ priority }) => priority),
    preempt: pushes.map(({ preempt }) => preempt),
    run_at: pushes.map(({ runAt }) => runAt),
    delay_ms: pushes.map(({ delayMs }) => (delayMs === null ? null : BigInt(delayMs))),
    parent: pushes.map(({ parent }) => parent),
    parent_epoch: pushes.map(({ parentEpoch }) => parentEpoch),
    deadline: pushes.map(({ deadline }) => deadline),
    max_attempts: pushes.map(({ retry }) => retry.maxAttempts),
    backoff_ms: pushes.map(({ retry }) => retry.backoffMs),
    max_backoff_ms: pushes.map(({ retry }) => retry.maxBackoffMs),
    supersedes: pushes.map(({ supersedes }) => supersedes),
    key: pushes.map(({ idempotencyKey }) => idempotencyKey),
    actor,
    max_depth: maxDepth,
    data_bytes: dataBytes,
    traceparent: pushes.map(({ traceparent = null }) => traceparent),
  });
  const answers: PushAnswer[] = Array.from({ length: rows.length });
  for (const row of rows) {
    answers[Number(row[0]) - 1] = {
      code: row[1] ?? null,
      detail: row[2] ?? null,
      id: text(row, 3),
      stack: text(row, 4),
      kind: text(row, 5),
      phase: row[6] ?? "",
      seq: optional(row, 7, bigint),
      priority: Number(row[8]),
      depth: Number(row[9]),
      parent: row[10] ?? null,
      runAt: optional(row, 11, date),
      createdAt: row[12] === null ? new Date(0) : date(row, 12),
    };
  }
  return answers;
}
