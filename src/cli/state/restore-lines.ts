import type { RestoreReport } from "../../runtime/restore-main.ts";
import type { ScopeLoss } from "../../runtime/restore-scope.ts";
import { formatTable } from "../print/table.ts";
import type { Column } from "../print/table.ts";
import { printable } from "../print/text.ts";

/** More would only scroll by; `--json` has all. */
const MOST_LOSSES = 200;

const COLUMNS: readonly Column<ScopeLoss>[] = [
  { title: "NAMESPACE", cell: ({ namespace }) => namespace, atLeast: 9 },
  { title: "SCOPE", cell: ({ scope }) => scope, atLeast: 12 },
  { title: "AT STEP", cell: ({ restoredStep }) => String(restoredStep || "-"), align: "right" },
  { title: "LOST STEPS", cell: lostSteps, align: "right" },
  { title: "HOLD", cell: ({ hold }) => (hold ? "yes" : "-") },
  { title: "WHY", cell: whyOf, atLeast: 24 },
];

/** What came of a restore, for people. */
export function restoreLines(report: RestoreReport, width: number | undefined): string[] {
  const { scopes, states, changes, tasks, begunTasks, losses, movedTo } = report;
  const shown = losses.slice(0, MOST_LOSSES);
  return [
    ...(movedTo === null ? [] : [printable(`the old main was moved to ${movedTo}`)]),
    `restored ${scopes} scopes: ${states} states, ${changes} changes, ${tasks} tasks`,
    ...(losses.length === 0 ? ["nothing is lost that the rollback database knows of"] : []),
    ...(shown.length === 0 ? [] : formatTable(COLUMNS, shown, width)),
    ...(losses.length > shown.length
      ? [`and ${losses.length - shown.length} more scopes: --json lists them all`]
      : []),
    unseenLine(report),
    "history begins with the oldest step that the copies held",
    ...(begunTasks === 0
      ? []
      : [
          `${begunTasks} tasks had begun: what they did outside is not known, see docs/rollback.md`,
        ]),
  ];
}

/** What nobody can know: steps that main had and the copies had not seen. */
function unseenLine({ copiedUntil, copiedAll }: RestoreReport): string {
  if (!copiedAll) {
    return "the first copy of main was never completed: whole scopes may be missing";
  }
  return copiedUntil === null
    ? "how far main had advanced is not known: later steps may be lost"
    : `everything acknowledged by ${copiedUntil.toISOString()} was copied; later steps may be lost without a trace`;
}

function lostSteps({ lostFrom, lostTo }: ScopeLoss): string {
  if (lostFrom === null) return "-";
  if (lostTo === null) return `${lostFrom} and later`;
  return lostFrom === lostTo ? String(lostFrom) : `${lostFrom} to ${lostTo}`;
}

function whyOf({ why, id, version }: ScopeLoss): string {
  if (id === null) return why;
  return version === null ? `${why} (${id})` : `${why} (${id} version ${version})`;
}
