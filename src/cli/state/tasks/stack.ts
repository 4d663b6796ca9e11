import type { Command } from "commander";
import type { HttpStateClient } from "../../../client/http-client.ts";
import { systemClock } from "../../../service/clock.ts";
import { wholeNumber } from "../../arguments.ts";
import { withExamples } from "../../help.ts";
import { toJson } from "../../print/json.ts";
import { formatTime } from "../../print/numbers.ts";
import { printable } from "../../print/text.ts";
import { callOptions, withClient, withServiceOptions } from "../../service-options.ts";
import type { ServiceOptions } from "../../service-options.ts";
import { writeLine } from "../../terminal.ts";
import type { Terminal } from "../../terminal.ts";
import { stackLines } from "./print-task.ts";

interface StackFlags extends ServiceOptions {
  readonly limit: number;
  readonly follow?: true;
}

/** Adds `stack`: the living tasks of an agent in the order in which they run. */
export function addStack(group: Command, terminal: Terminal): void {
  const command = group
    .command("stack")
    .description("list an agent's tasks in the order they will run, and who works on them")
    .argument("<agent>", "id of the stack, normally an agent")
    .option("--limit <n>", "maximum number of results", wholeNumber(1, 1_000), 100)
    .option("--follow", "redraw it at every change, until Ctrl-C")
    .action(async (stack: string, flags: StackFlags) => {
      await withClient(flags, async (client) => {
        await print(client, stack, { flags, terminal });
        if (flags.follow) await follow(client, stack, { flags, terminal });
      });
    });
  withExamples(withServiceOptions(command), [
    ["agent_runtime state stack agent-1", "the task in progress first"],
    ["agent_runtime state stack agent-1 --follow", "live"],
  ]);
}

interface Setting {
  readonly flags: StackFlags;
  readonly terminal: Terminal;
}

async function print(
  client: HttpStateClient,
  stack: string,
  { flags, terminal }: Setting,
): Promise<void> {
  const items = await client.tasks.stack(stack, { ...callOptions(terminal), limit: flags.limit });
  const now = systemClock.now();
  const lines = flags.json
    ? [toJson({ stack, items })]
    : items.length === 0
      ? [printable(`${stack} has no tasks`)]
      : stackLines(items, { now, columns: terminal.stdout.columns });
  const at = flags.follow && !flags.json ? [`at ${formatTime(new Date(now)).slice(11)}`] : [];
  await writeLine(terminal.stdout, [...at, ...lines].join("\n"));
}

async function follow(client: HttpStateClient, stack: string, setting: Setting): Promise<void> {
  const { signal } = setting.terminal;
  for await (const _ of client.watch({ scope: stack, type: "task", data: false, signal })) {
    await print(client, stack, setting);
  }
}
