import type { Command } from "commander";
import type { PastRollback, ScopeStatus } from "../../state/state.ts";
import { withExamples } from "../help.ts";
import { toJson } from "../print/json.ts";
import { formatTime } from "../print/numbers.ts";
import { formatTable } from "../print/table.ts";
import type { Column } from "../print/table.ts";
import { printable } from "../print/text.ts";
import { callOptions, withClient, withServiceOptions } from "../service-options.ts";
import type { ServiceOptions } from "../service-options.ts";
import { writeLine } from "../terminal.ts";
import type { Terminal } from "../terminal.ts";

/** Adds `scope`: where a scope stands. */
export function addScope(group: Command, terminal: Terminal): void {
  const command = group
    .command("scope")
    .description("show where a scope stands: step, hold, quarantine, recent rollbacks")
    .argument("<scope>", "id of the scope, normally an agent")
    .action(async (scope: string, flags: ServiceOptions) => {
      const status = await withClient(flags, (client) =>
        client.scope(scope, callOptions(terminal)),
      );
      await printScope(terminal, flags, status);
    });
  withExamples(withServiceOptions(command), [["agent_runtime state scope agent-1", "its status"]]);
}

/** A scope's status, as lines or as JSON. */
export async function printScope(
  terminal: Terminal,
  flags: ServiceOptions,
  status: ScopeStatus,
): Promise<void> {
  const text = flags.json ? toJson(status) : lines(status, terminal.stdout.columns).join("\n");
  await writeLine(terminal.stdout, text);
}

const COLUMNS: readonly Column<PastRollback>[] = [
  { title: "STEP", cell: ({ step }) => String(step), align: "right" },
  { title: "UNDID", cell: ({ undoneStep }) => String(undoneStep), align: "right" },
  { title: "BACK TO", cell: ({ restoredStep }) => String(restoredStep), align: "right" },
  { title: "FROM", cell: ({ source }) => source },
  { title: "AT", cell: ({ at }) => formatTime(at) },
  { title: "ACTOR", cell: ({ actor }) => actor ?? "-", atLeast: 6 },
  { title: "REASON", cell: ({ reason }) => reason ?? "-", atLeast: 8 },
];

function lines(status: ScopeStatus, columns: number | undefined): string[] {
  const { scope, step, rollbackStep, hold, holdReason, quarantined, rollbacks } = status;
  const held = hold ? `, on hold${holdReason === null ? "" : `: ${holdReason}`}` : "";
  const copy = rollbackStep === null ? "holds nothing of it" : `holds step ${rollbackStep}`;
  return [
    printable(`${scope} is at step ${step}${held}`),
    `the rollback database ${copy}`,
    ...(quarantined.length === 0 ? [] : [`quarantined: ${quarantined.join(", ")}`]),
    ...(rollbacks.length === 0 ? [] : formatTable(COLUMNS, rollbacks, columns)),
  ];
}
