import type { SurveyedStack } from "../../state/task-port.ts";
import type { Caller, Operation } from "../caller.ts";
import { bigint, text } from "../rows.ts";

const SURVEY_STACKS = {
  fn: "survey_stacks",
  parameters: { after: "bigint", limit: "integer" },
  columns: ["stack_no", "namespace", "stack", "waiting", "id", "waited_ms"],
  writes: false,
} as const satisfies Operation;

/** How the stacks after a number do, in their order. */
export async function surveyStacks(
  caller: Caller,
  after: bigint,
  limit: number,
): Promise<SurveyedStack[]> {
  const rows = await caller.call(SURVEY_STACKS, { after, limit });
  return rows.map((row) => ({
    stackNo: bigint(row, 0),
    namespace: text(row, 1),
    stack: text(row, 2),
    waiting: Number(row[3]),
    lowest: row[4] === null ? null : { id: text(row, 4), waitedMs: Number(row[5]) },
  }));
}
