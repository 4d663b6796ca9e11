import { InvalidArgumentError, Option } from "commander";
import type { Command } from "commander";
import { CHECK_NAMES } from "../../state/fsck.ts";
import type { CheckName, Finding, FsckReport } from "../../state/fsck.ts";
import { CommandFailed } from "../failure.ts";
import { given } from "../given.ts";
import { withExamples } from "../help.ts";
import { toJson } from "../print/json.ts";
import { formatTable } from "../print/table.ts";
import type { Column } from "../print/table.ts";
import { callOptions, withClient, withServiceOptions } from "../service-options.ts";
import type { ServiceOptions } from "../service-options.ts";
import { writeLine } from "../terminal.ts";
import type { Terminal } from "../terminal.ts";

interface FsckFlags extends ServiceOptions {
  readonly checks?: readonly CheckName[];
  readonly plan?: true;
  readonly fix?: "safe";
}

const COLUMNS: readonly Column<Finding>[] = [
  { title: "CHECK", cell: ({ check }) => check },
  { title: "SCOPE", cell: ({ scope }) => scope ?? "-", atLeast: 8 },
  { title: "ID", cell: ({ id }) => id ?? "-", atLeast: 12 },
  { title: "VERSION", cell: ({ version }) => version?.toString() ?? "-", align: "right" },
  { title: "FOUND", cell: ({ detail }) => detail, atLeast: 20 },
  { title: "STATUS", cell: stateOf },
  {
    title: "REMEDY",
    cell: ({ resolution, remedy }) => resolution ?? remedy,
    atLeast: 20,
  },
];

/** Adds `fsck`: looks for states that no legal history explains. */
export function addFsck(group: Command, terminal: Terminal): void {
  const command = group
    .command("fsck")
    .description("look for confused (inconsistent) states, and repair what can be proven")
    .argument("[scope]", "only this scope")
    .option("--checks <names>", "only these checks, for example C3,C4", checkNames)
    .addOption(new Option("--plan", "show what --fix would do").conflicts("fix"))
    .addOption(
      new Option("--fix <how>", "repair what the digests prove, and nothing else").choices([
        "safe",
      ]),
    )
    .action(async (scope: string | undefined, flags: FsckFlags) => {
      const { checks, plan, fix } = flags;
      const report = await withClient(flags, (client) =>
        client.fsck({ ...callOptions(terminal), ...given({ scope, checks, plan, fix }) }),
      );
      if (flags.json) await writeLine(terminal.stdout, toJson(report));
      else await print(report, terminal);
      const open = report.findings.filter(({ resolvedAt }) => resolvedAt === null).length;
      if (open > 0) throw failure(open, flags);
    });
  withExamples(withServiceOptions(command), [
    ["agent_runtime state fsck", "look at everything"],
    ["agent_runtime state fsck agent-1 --plan", "what could be done about one agent"],
    ["agent_runtime state fsck agent-1 --fix safe", "repair it"],
    ["agent_runtime state fsck --checks C3,C4", "only rows and digests"],
  ]);
}

function checkNames(text: string): CheckName[] {
  return text.split(",").map((word) => {
    const name = CHECK_NAMES.find((known) => known === word.trim().toUpperCase());
    if (name !== undefined) return name;
    throw new InvalidArgumentError(`There are the checks ${CHECK_NAMES.join(", ")}.`);
  });
}

function stateOf({ resolvedAt, safe }: Finding): string {
  if (resolvedAt !== null) return "settled";
  return safe === true ? "repairable" : "open";
}

async function print({ checked, checks, findings }: FsckReport, terminal: Terminal): Promise<void> {
  if (findings.length > 0) {
    const lines = formatTable(COLUMNS, findings, terminal.stdout.columns);
    await writeLine(terminal.stdout, lines.join("\n"));
  }
  const missed = checks.filter(({ status }) => status === "could not run");
  for (const { check, reason } of missed) {
    await writeLine(terminal.stderr, `${check} could not run: ${reason}`);
  }
  const ran = checks.length - missed.length;
  await writeLine(
    terminal.stderr,
    `${checked} states checked, ${ran} of ${checks.length} checks ran, ${findings.length} findings`,
  );
}

function failure(open: number, { plan, fix }: FsckFlags): CommandFailed {
  const next = fix
    ? "roll the scope back, or put right by hand what its remedy says"
    : plan
      ? "do what is proven: --fix safe"
      : "see what could be done: --plan";
  return new CommandFailed(`${open} findings are open`, { next });
}
