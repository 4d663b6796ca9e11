import type { Command } from "commander";
import type { ListOptions } from "../../state/request.ts";
import type { StateSummary } from "../../state/state.ts";
import { wholeNumber } from "../arguments.ts";
import { given } from "../given.ts";
import { withExamples } from "../help.ts";
import { toJson } from "../print/json.ts";
import { formatTime } from "../print/numbers.ts";
import { formatTable } from "../print/table.ts";
import type { Column } from "../print/table.ts";
import { callOptions, withClient, withServiceOptions } from "../service-options.ts";
import type { ServiceOptions } from "../service-options.ts";
import { write, writeLine } from "../terminal.ts";
import type { Terminal } from "../terminal.ts";

/** Which states are meant. */
export interface FilterFlags {
  readonly type?: string;
  readonly scope?: string;
  readonly phase?: string;
  readonly prefix?: string;
}

interface ListFlags extends ServiceOptions, FilterFlags {
  readonly limit: number;
  readonly after?: string;
  readonly all?: true;
}

const PAGE_ITEMS = 1_000;

const COLUMNS: readonly Column<StateSummary>[] = [
  { title: "ID", cell: ({ id }) => id, atLeast: 16 },
  { title: "TYPE", cell: ({ type }) => type, atLeast: 6 },
  { title: "PHASE", cell: ({ phase }) => phase ?? "-" },
  { title: "VERSION", cell: ({ version }) => String(version), align: "right" },
  { title: "STEP", cell: ({ step }) => String(step), align: "right" },
  { title: "SCOPE", cell: ({ scope }) => scope, atLeast: 8 },
  { title: "UPDATED", cell: ({ updatedAt }) => formatTime(updatedAt) },
];

/** Adds `list`: states without their documents, by id. */
export function addList(group: Command, terminal: Terminal): void {
  const command = withFilterOptions(group.command("list").description("list states"))
    .option("--limit <n>", "maximum number of results", wholeNumber(1, PAGE_ITEMS), 100)
    .option("--after <cursor>", "continue after the previous page")
    .option("--all", "all pages; with --json, one state per line")
    .action(async (flags: ListFlags) => {
      if (flags.all) await listAll(flags, terminal);
      else await listPage(flags, terminal);
    });
  withExamples(withServiceOptions(command), [
    ["agent_runtime state list", "the first 100"],
    ["agent_runtime state list --type task --phase working", "tasks in progress"],
    ["agent_runtime state list --scope agent-1", "everything that belongs to one agent"],
    ["agent_runtime state list --all --json", "everything, one state per line"],
  ]);
}

/** The command with the options that choose states. */
export function withFilterOptions(command: Command): Command {
  return command
    .option("--type <type>", "only this type")
    .option("--scope <scope>", "only this scope")
    .option("--phase <phase>", "only in this phase")
    .option("--prefix <text>", "only ids that start with this");
}

/** The flags as the client takes them. */
export function filterOptions({ type, scope, phase, prefix }: FilterFlags): ListOptions {
  return given({ type, scope, phase, idPrefix: prefix });
}

async function listPage(flags: ListFlags, terminal: Terminal): Promise<void> {
  const { limit, after, json } = flags;
  const page = await withClient(flags, (client) =>
    client.list({ ...filterOptions(flags), ...callOptions(terminal), ...given({ limit, after }) }),
  );
  if (json) {
    await writeLine(terminal.stdout, toJson(page));
    return;
  }
  await printRows(page.items, terminal);
  if (page.next !== undefined) {
    await writeLine(terminal.stderr, `more results: --after ${page.next}, or --all`);
  }
}

async function listAll(flags: ListFlags, terminal: Terminal): Promise<void> {
  await withClient(flags, async (client) => {
    let after = flags.after;
    do {
      const page = await client.list({
        ...filterOptions(flags),
        ...callOptions(terminal),
        ...given({ limit: PAGE_ITEMS, after }),
      });
      if (flags.json)
        await write(terminal.stdout, page.items.map((item) => `${toJson(item)}\n`).join(""));
      else await printRows(page.items, terminal);
      after = page.next;
    } while (after !== undefined);
  });
}

async function printRows(rows: readonly StateSummary[], terminal: Terminal): Promise<void> {
  if (rows.length === 0) {
    await writeLine(terminal.stderr, "no states");
    return;
  }
  const lines = formatTable(COLUMNS, rows, terminal.stdout.columns);
  await writeLine(terminal.stdout, lines.join("\n"));
}
