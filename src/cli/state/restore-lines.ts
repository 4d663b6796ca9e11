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
    ...(movedTo === null ? [] : [printable(`what was left of main is in ${movedTo}`)]),
    `restored ${scopes} scopes: ${states} states, ${changes} changes, ${tasks} tasks`,
    ...(losses.length === 0 ? ["nothing that the rollback database knows of is lost"] : []),
    ...(shown.length === 0 ? [] : formatTable(COLUMNS, shown, width)),
    ...(losses.length > shown.length
      ? [`and ${losses.length - shown.length} more scopes: --json lists them all`]
      : []),
    unseenLine(report),
    "history begins with what the copies held: earlier steps are not there",
    ...(begunTasks === 0
      ? []
      : [
          `${begunTasks} tasks were begun: what they did outside is not known, see docs/rollback.md`,
        ]),
  ];
}

/** What nobody can know: steps that main had and the copies had not seen. */
function unseenLine({ copiedUntil, copiedAll }: RestoreReport): string {
  if (!copiedAll) {
    return "the first copy of main was not complete: scopes may be missing altogether";
  }
  return copiedUntil === null
    ? "how far main had gone on is not known: steps after those above may be lost"
    : `all that main had acknowledged by ${copiedUntil.toISOString()} was copied; steps after that may be lost unseen`;
}

function lostSteps({ lostFrom, lostTo }: ScopeLoss): string {
  if (lostFrom === null) return "-";
  if (lostTo === null) return `${lostFrom} and on`;
  return lostFrom === lostTo ? String(lostFrom) : `${lostFrom} to ${lostTo}`;
}

function whyOf({ why, id, version }: ScopeLoss): string {
  if (id === null) return why;
  return version === null ? `${why} (${id})` : `${why} (${id} version ${version})`;
}
