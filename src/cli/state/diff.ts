import type { Command } from "commander";
import type { Diff } from "../../state/request.ts";
import { versionNumber } from "../arguments.ts";
import { given } from "../given.ts";
import { withExamples } from "../help.ts";
import { painter } from "../print/color.ts";
import type { Color, Paint } from "../print/color.ts";
import { toJson } from "../print/json.ts";
import { printable } from "../print/text.ts";
import { callOptions, withClient, withServiceOptions } from "../service-options.ts";
import type { ServiceOptions } from "../service-options.ts";
import { writeLine } from "../terminal.ts";
import type { Terminal } from "../terminal.ts";

interface DiffFlags extends ServiceOptions {
  readonly from?: bigint;
  readonly to?: bigint;
}

/** Adds `diff`: what changed between two versions of a state. */
export function addDiff(group: Command, terminal: Terminal): void {
  const command = group
    .command("diff")
    .description("show what changed between two versions of a state")
    .argument("<id>", "id of the state")
    .option(
      "--from <version>",
      "version to compare from (default: the one before --to)",
      versionNumber(1n),
    )
    .option("--to <version>", "version to compare to (default: the current one)", versionNumber(1n))
    .action(async (id: string, flags: DiffFlags) => {
      const { from, to, json } = flags;
      const diff = await withClient(flags, (client) =>
        client.diff(id, { ...callOptions(terminal), ...given({ from, to }) }),
      );
      const paint = painter(terminal.stdout, terminal.env);
      await writeLine(terminal.stdout, json ? toJson(diff) : formatDiff(diff, paint));
    });
  withExamples(withServiceOptions(command), [
    ["agent_runtime state diff agent-1", "what the newest change did"],
    ["agent_runtime state diff agent-1 --from 3 --to 7", "what four changes did"],
  ]);
}

const COLORS: Readonly<Record<string, Color>> = { "+": "green", "-": "red", "~": "yellow" };

/** A diff for people: its head, then one line an operation, coloured by what it does. */
export function formatDiff(diff: Diff, paint: Paint): string {
  const head = paint("bold", printable(`${diff.id}: version ${diff.from} to ${diff.to}`));
  if (diff.patch.length === 0) return `${head}\nnothing in its document changed`;
  const lines = diff.readable.split("\n").map((line) => {
    const color = COLORS[line.charAt(0)];
    return color === undefined ? printable(line) : paint(color, printable(line));
  });
  return [head, ...lines].join("\n");
}
