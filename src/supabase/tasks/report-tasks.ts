import type { ClaimOrder, PreparedReport, ReportAnswer } from "../../state/task-port.ts";
import type { Task } from "../../state/task.ts";
import type { Caller, Operation } from "../caller.ts";
import { TASK_COLUMNS, taskOf } from "./task-row.ts";

const REPORT_TASKS = {
  fn: "report_tasks",
  parameters: {
    namespace: "text",
    id: "text[]",
    epoch: "bigint[]",
    report: "text[]",
    body: "json[]",
    resume: "json[]",
    actor: "text",
    worker: "text",
    incarnation: "text",
    lease_ms: "integer",
    stacks: "text[]",
    kinds: "text[]",
    claim: "integer",
  },
  columns: ["n", "code", "wanted", ...TASK_COLUMNS],
  writes: true,
} as const satisfies Operation;

/** Tells what holders say about their tasks, each with its own fate, and claims what they want next. */
export async function reportTasks(
  caller: Caller,
  namespace: string,
  {
    reports,
    claim,
    actor,
  }: {
    readonly reports: readonly PreparedReport[];
    readonly claim: ClaimOrder | null;
    readonly actor: string | null;
  },
): Promise<{ answers: ReportAnswer[]; claimed: Task[] }> {
  const rows = await caller.call(REPORT_TASKS, {
    namespace,
    id: reports.map(({ id }) => id),
    epoch: reports.map(({ epoch }) => epoch),
    report: reports.map(({ report }) => report),
    body: reports.map(({ body }) => body),
    resume: reports.map(({ resumePoint }) => resumePoint),
    actor: actor ?? claim?.worker ?? null,
    worker: claim?.worker ?? null,
    incarnation: claim?.incarnation ?? null,
    lease_ms: claim?.leaseMs ?? 0,
    stacks: claim?.stacks ?? [],
    kinds: claim?.kinds ?? [],
    claim: claim?.limit ?? 0,
  });
  const answers: ReportAnswer[] = [];
  const claimed: Task[] = [];
  for (const row of rows) {
    if (row[0] === null) {
      const held = { worker: claim!.worker, runAt: null };
      claimed.push(taskOf(row, { namespace, at: 3 }, held));
    } else {
      answers[Number(row[0]) - 1] = {
        code: row[1] ?? null,
        phase: row[6] ?? null,
        wanted: (row[2] ?? null) as ReportAnswer["wanted"],
      };
    }
  }
  return { answers, claimed };
}
