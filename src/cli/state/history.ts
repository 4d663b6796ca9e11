import type { Command } from "commander";
import type { HistoryEntry } from "../../state/state.ts";
import { versionNumber, wholeNumber } from "../arguments.ts";
import { given } from "../given.ts";
import { withExamples } from "../help.ts";
import { toJson } from "../print/json.ts";
import { formatBytes, formatTime } from "../print/numbers.ts";
import { formatTable } from "../print/table.ts";
import type { Column } from "../print/table.ts";
import { callOptions, withClient, withServiceOptions } from "../service-options.ts";
import type { ServiceOptions } from "../service-options.ts";
import { writeLine } from "../terminal.ts";
import type { Terminal } from "../terminal.ts";

interface HistoryFlags extends ServiceOptions {
  readonly limit: number;
  readonly before?: bigint;
}

const COLUMNS: readonly Column<HistoryEntry>[] = [
  { title: "VERSION", cell: ({ version }) => String(version), align: "right" },
  { title: "STEP", cell: ({ step }) => String(step), align: "right" },
  { title: "KIND", cell: ({ kind }) => kind },
  { title: "PHASE", cell: ({ phase }) => phase ?? "-" },
  { title: "AT", cell: ({ at }) => formatTime(at) },
  { title: "ACTOR", cell: ({ actor }) => actor ?? "-", atLeast: 6 },
  { title: "CAUSE", cell: ({ cause }) => cause ?? "-", atLeast: 12 },
  {
    title: "STORED",
    cell: ({ storedBytes, stored }) => `${formatBytes(storedBytes)} ${stored}`,
    align: "right",
  },
  { title: "DIGEST", cell: ({ digest }) => digest.slice(0, 12) },
];

/** Adds `history`: what happened to one state, newest first. */
export function addHistory(group: Command, terminal: Terminal): void {
  const command = group
    .command("history")
    .description("show what happened to one state, newest first")
    .argument("<id>", "id of the state")
    .option("--limit <n>", "maximum number of results", wholeNumber(1, 1_000), 100)
    .option("--before <version>", "only versions below this one", versionNumber(1n))
    .action(async (id: string, flags: HistoryFlags) => {
      const { limit, before, json } = flags;
      const page = await withClient(flags, (client) =>
        client.history(id, { ...callOptions(terminal), limit, ...given({ before }) }),
      );
      if (json) {
        await writeLine(terminal.stdout, toJson(page));
        return;
      }
      const lines = formatTable(COLUMNS, page.items, terminal.stdout.columns);
      await writeLine(terminal.stdout, lines.join("\n"));
      if (page.next !== undefined) {
        await writeLine(terminal.stderr, `more results: --before ${page.next}`);
      }
    });
  withExamples(withServiceOptions(command), [
    ["agent_runtime state history agent-1", "its newest 100 changes"],
    ["agent_runtime state history agent-1 --before 40", "what came before version 40"],
  ]);
}
