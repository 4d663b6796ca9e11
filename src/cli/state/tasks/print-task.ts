import type { Task, TaskDetails } from "../../../state/task.ts";
import { toPrettyJson } from "../../print/json.ts";
import { formatDuration, formatTime } from "../../print/numbers.ts";
import { formatTable } from "../../print/table.ts";
import type { Column } from "../../print/table.ts";
import { printable, printableLines } from "../../print/text.ts";

/** A stack in the order in which it runs; `now` by this machine's clock. */
export function stackLines(
  tasks: readonly Task[],
  { now, columns }: { readonly now: number; readonly columns: number | undefined },
): string[] {
  const age = (at: Date): string => formatDuration(Math.max(0, now - at.getTime()));
  const table: readonly Column<Task>[] = [
    { title: "TASK", cell: ({ id }) => id, atLeast: 16 },
    { title: "PHASE", cell: ({ phase }) => phase },
    { title: "WORKER", cell: ({ lease }) => lease?.worker ?? "-", atLeast: 8 },
    {
      title: "FOR",
      cell: ({ lease }) => (lease?.since === undefined ? "-" : age(lease.since)),
      align: "right",
    },
    { title: "KIND", cell: ({ kind }) => kind },
    { title: "PRIORITY", cell: ({ priority }) => String(priority), align: "right" },
    { title: "SEQ", cell: ({ seq }) => (seq === null ? "-" : String(seq)), align: "right" },
    { title: "DEPTH", cell: ({ depth }) => String(depth), align: "right" },
    { title: "TRIED", cell: ({ attempt }) => String(attempt), align: "right" },
    { title: "AGE", cell: ({ createdAt }) => age(createdAt), align: "right" },
    { title: "WAITS FOR", cell: waitsFor, atLeast: 8 },
  ];
  return formatTable(table, tasks, columns);
}

/** One task with what belongs to it, as lines. */
export function taskLines(task: TaskDetails): string[] {
  const { lease, parent, children, effects } = task;
  const facts: readonly (readonly [string, string | null])[] = [
    ["stack", task.stack],
    ["kind", task.kind],
    ["phase", task.phase],
    [
      "worker",
      lease === null
        ? null
        : `${lease.worker}${lease.since === undefined ? "" : ` since ${formatTime(lease.since)}`}, its lease until ${formatTime(lease.until)}`,
    ],
    ["priority", `${task.priority}, arrival ${task.seq ?? "not due yet"}, depth ${task.depth}`],
    ["attempt", `${task.attempt}, epoch ${task.epoch}`],
    ["waits for", waitsFor(task) === "-" ? null : waitsFor(task)],
    ["parent", parent],
    ["created", formatTime(task.createdAt)],
    ["deadline", task.deadline === null ? null : formatTime(task.deadline)],
    ["supersedes", task.supersedes ?? null],
  ];
  const documents: readonly (readonly [string, unknown])[] = [
    ["input", task.input],
    ["goes on at", task.resumePoint],
    ["results so far", task.results.length === 0 ? undefined : task.results],
    ["result", task.result],
    ["error", task.error],
  ];
  return [
    printable(task.id),
    ...facts.flatMap(([name, value]) =>
      value === null ? [] : [printable(`  ${name.padEnd(11)}${value}`)],
    ),
    ...documents.flatMap(([name, value]) =>
      value === undefined || value === null
        ? []
        : [`  ${name}`, printableLines(toPrettyJson(value)).replace(/^/gm, "    ")],
    ),
    ...children.map(({ id, phase }) => printable(`  child      ${id} ${phase}`)),
    ...effects.map(({ key, standing }) => printable(`  effect     ${key} ${standing}`)),
  ];
}

function waitsFor({ wait, runAt }: Task): string {
  if (runAt !== null) return `until ${formatTime(runAt)}`;
  if (typeof wait !== "object" || wait === null || Array.isArray(wait)) return "-";
  const { for: what, name } = wait as { readonly for?: unknown; readonly name?: unknown };
  return typeof name === "string" ? `${String(what)} ${name}` : String(what);
}
