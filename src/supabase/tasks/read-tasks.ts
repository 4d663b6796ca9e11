import type { Json } from "../../state/json.ts";
import type { Effect, EffectStanding, Task, TaskDetails } from "../../state/task.ts";
import type { Caller, Operation } from "../caller.ts";
import { date, optional, text } from "../rows.ts";
import type { Row } from "../rows.ts";
import { TASK_COLUMNS, taskOf } from "./task-row.ts";

const READ_TASKS = {
  fn: "read_tasks",
  parameters: { namespace: "text", id: "text[]" },
  columns: [...TASK_COLUMNS, "worker", "run_at", "held_since", "children", "effects"],
  writes: false,
} as const satisfies Operation;

const READ_STACK = {
  fn: "read_stack",
  parameters: { namespace: "text", stack: "text", limit: "integer" },
  columns: [...TASK_COLUMNS, "worker", "run_at", "held_since"],
  writes: false,
} as const satisfies Operation;

interface EffectJson {
  readonly key: string;
  readonly epoch: string;
  readonly receipt: Json;
  readonly begunAt: string;
  readonly doneAt: string | null;
  readonly standing: EffectStanding;
}

/** Tasks with their children and effects; those that do not exist are left out. */
export async function readTasks(
  reader: Caller,
  namespace: string,
  ids: readonly string[],
): Promise<TaskDetails[]> {
  const rows = await reader.call(READ_TASKS, { namespace, id: ids });
  return rows.map((row) => ({
    ...plainTask(row, namespace),
    children: JSON.parse(text(row, 17)) as TaskDetails["children"],
    effects: (JSON.parse(text(row, 18)) as EffectJson[]).map(effectOf),
  }));
}

/** The living tasks of a stack in the order in which they run. */
export async function readStack(
  reader: Caller,
  namespace: string,
  { stack, limit }: { readonly stack: string; readonly limit: number },
): Promise<Task[]> {
  const rows = await reader.call(READ_STACK, { namespace, stack, limit });
  return rows.map((row) => plainTask(row, namespace));
}

function plainTask(row: Row, namespace: string): Task {
  const since = optional(row, 16, date);
  const held = { worker: row[14] ?? null, since, runAt: optional(row, 15, date) };
  return taskOf(row, { namespace }, held);
}

function effectOf({ epoch, begunAt, doneAt, ...effect }: EffectJson): Effect {
  return {
    ...effect,
    epoch: BigInt(epoch),
    begunAt: new Date(begunAt),
    doneAt: doneAt === null ? null : new Date(doneAt),
  };
}
