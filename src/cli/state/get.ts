import type { Command } from "commander";
import type { State } from "../../state/state.ts";
import { versionNumber } from "../arguments.ts";
import { given } from "../given.ts";
import { withExamples } from "../help.ts";
import { painter } from "../print/color.ts";
import type { Paint } from "../print/color.ts";
import { toJson, toPrettyJson } from "../print/json.ts";
import { formatTime } from "../print/numbers.ts";
import { pad, printable, printableLines } from "../print/text.ts";
import { callOptions, withClient, withServiceOptions } from "../service-options.ts";
import type { ServiceOptions } from "../service-options.ts";
import { writeLine } from "../terminal.ts";
import type { Terminal } from "../terminal.ts";

interface GetOptions extends ServiceOptions {
  readonly version?: bigint;
}

/** Adds `get`: one state, as it is or as it was. */
export function addGet(group: Command, terminal: Terminal): void {
  const command = group
    .command("get")
    .description("show one state")
    .argument("<id>", "id of the state")
    .option("--version <n>", "show it as it was at this version", versionNumber(1n))
    .action(async (id: string, options: GetOptions) => {
      const { version, json } = options;
      const state = await withClient(options, (client) =>
        client.getState(id, { ...callOptions(terminal), ...given({ version }) }),
      );
      const text = json
        ? toJson(state)
        : formatState(state, painter(terminal.stdout, terminal.env));
      await writeLine(terminal.stdout, text);
    });
  withExamples(withServiceOptions(command), [
    ["agent_runtime state get agent-1", "its current version"],
    ["agent_runtime state get agent-1 --version 3", "as it was at version 3"],
    ["agent_runtime state get agent-1 --json | jq .data", "only its document"],
  ]);
}

/** A state for people: what is known of it, then its document. */
export function formatState(state: State, paint: Paint): string {
  const facts: [string, string][] = [
    ["id", state.id],
    ["type", state.type],
    ...(state.phase === null ? [] : [["phase", state.phase] as [string, string]]),
    ["version", String(state.version)],
    ["step", `${state.step} of scope ${state.scope}`],
    ["updated", formatTime(state.updatedAt)],
    ["created", formatTime(state.createdAt)],
    ...(state.expiresAt === null
      ? []
      : [["expires", formatTime(state.expiresAt)] as [string, string]]),
    ["digest", state.digest],
  ];
  const lines = facts.map(([name, value]) => `${paint("dim", pad(name, 8))} ${printable(value)}`);
  return [...lines, printableLines(toPrettyJson(state.data))].join("\n");
}
