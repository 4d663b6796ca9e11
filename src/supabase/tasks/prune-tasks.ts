import type { Pruned } from "../../state/task-port.ts";
import type { Caller, Operation } from "../caller.ts";
import { bigint, optional } from "../rows.ts";

const PRUNE_TASKS = {
  fn: "prune_tasks",
  parameters: { after: "bigint", before: "timestamptz", limit: "integer" },
  columns: ["forgotten", "last"],
  writes: true,
} as const satisfies Operation;

/** Forgets how tasks were scheduled that ended before a moment: of those after a number, the oldest first. */
export async function pruneTasks(
  caller: Caller,
  order: { readonly after: bigint; readonly before: Date; readonly limit: number },
): Promise<Pruned> {
  const [row] = await caller.call(PRUNE_TASKS, order);
  return { forgotten: Number(row![0]), last: optional(row!, 1, bigint) };
}
