import type { ClaimOrder } from "../../state/task-port.ts";
import type { Task } from "../../state/task.ts";
import type { Caller, Operation } from "../caller.ts";
import { TASK_COLUMNS, taskOf } from "./task-row.ts";

const CLAIM_TASKS = {
  fn: "claim_tasks",
  parameters: {
    namespace: "text",
    worker: "text",
    incarnation: "text",
    lease_ms: "integer",
    stacks: "text[]",
    kinds: "text[]",
    limit: "integer",
  },
  columns: TASK_COLUMNS,
  writes: true,
} as const satisfies Operation;

/** Claims tasks, one a stack. */
export async function claimTasks(
  caller: Caller,
  namespace: string,
  { leaseMs, ...order }: ClaimOrder,
): Promise<Task[]> {
  const rows = await caller.call(CLAIM_TASKS, { ...order, namespace, lease_ms: leaseMs });
  return rows.map((row) => taskOf(row, { namespace }, { worker: order.worker, runAt: null }));
}
