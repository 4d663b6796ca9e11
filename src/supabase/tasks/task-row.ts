import type { Json, JsonObject } from "../../state/json.ts";
import type { Preempt, Task, TaskResult } from "../../state/task.ts";
import { bigint, date, optional, text } from "../rows.ts";
import type { Row } from "../rows.ts";

/** The columns that every function answers tasks with. */
export const TASK_COLUMNS = [
  "id",
  "stack",
  "kind",
  "phase",
  "seq",
  "priority",
  "depth",
  "parent",
  "epoch",
  "attempt",
  "deadline",
  "lease_until",
  "created_at",
  "document",
] as const;

/** What a task's document has beside what its row says; anything may be missing that somebody wrote over by hand. */
interface TaskDocument {
  readonly input?: Json;
  readonly preempt?: Preempt;
  readonly results?: readonly TaskResult[];
  readonly resumePoint?: Json;
  readonly result?: Json;
  readonly error?: Json;
  readonly wait?: Json;
  readonly supersedes?: string;
}

/** The task in a row whose columns from `at` on are TASK_COLUMNS. */
export function taskOf(
  row: Row,
  { namespace, at = 0 }: { readonly namespace: string; readonly at?: number },
  held: {
    readonly worker: string | null;
    readonly since?: Date | null;
    readonly runAt: Date | null;
  },
): Task {
  const document = JSON.parse(text(row, at + 13)) as (JsonObject & TaskDocument) | null;
  const { resumePoint, result, error, wait, supersedes } = document ?? {};
  const { input = null, preempt = "step", results } = document ?? {};
  const until = optional(row, at + 11, date);
  return {
    namespace,
    id: text(row, at),
    stack: text(row, at + 1),
    kind: text(row, at + 2),
    phase: text(row, at + 3),
    seq: optional(row, at + 4, bigint),
    priority: Number(row[at + 5]),
    depth: Number(row[at + 6]),
    parent: row[at + 7] ?? null,
    preempt,
    epoch: bigint(row, at + 8),
    attempt: Number(row[at + 9]),
    input,
    ...(resumePoint === undefined ? {} : { resumePoint }),
    results: Array.isArray(results) ? (results as readonly TaskResult[]) : [],
    ...(result === undefined ? {} : { result }),
    ...(error === undefined ? {} : { error }),
    ...(wait === undefined ? {} : { wait }),
    lease: leaseOf(held, until),
    runAt: held.runAt,
    deadline: optional(row, at + 10, date),
    ...(supersedes === undefined ? {} : { supersedes }),
    createdAt: date(row, at + 12),
  };
}

function leaseOf(
  { worker, since = null }: { readonly worker: string | null; readonly since?: Date | null },
  until: Date | null,
): Task["lease"] {
  if (worker === null || until === null) return null;
  return { worker, until, ...(since === null ? {} : { since }) };
}
