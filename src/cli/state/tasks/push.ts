import { Option } from "commander";
import type { Command } from "commander";
import { parseTime } from "../../../state/fields.ts";
import { PREEMPTS } from "../../../state/task.ts";
import type { Preempt } from "../../../state/task.ts";
import { wholeNumber } from "../../arguments.ts";
import { UsageError } from "../../failure.ts";
import { given } from "../../given.ts";
import { withExamples } from "../../help.ts";
import { toJson } from "../../print/json.ts";
import { printable } from "../../print/text.ts";
import { readJson } from "../../read-input.ts";
import { callOptions, withClient, withServiceOptions } from "../../service-options.ts";
import type { ServiceOptions } from "../../service-options.ts";
import { writeLine } from "../../terminal.ts";
import type { Terminal } from "../../terminal.ts";

interface PushFlags extends ServiceOptions {
  readonly input?: string;
  readonly id?: string;
  readonly kind?: string;
  readonly priority?: number;
  readonly preempt?: Preempt;
  readonly delayMs?: number;
  readonly parent?: string;
  readonly deadline?: string;
  readonly attempts?: number;
  readonly actor?: string;
  readonly key?: string;
}

const MAX_PRIORITY = 1_000_000;

/** Adds `push`: one more task, on top of an agent's stack. */
export function addPush(group: Command, terminal: Terminal): void {
  const command = group
    .command("push")
    .description("push a task onto an agent's stack; the newest runs first")
    .argument("<agent>", "id of the stack, normally an agent")
    .option("--input <json>", "the task's input: JSON, @FILE, or - for standard input")
    .option("--id <id>", "id of the task (default: a generated one)")
    .option("--kind <kind>", "kind of work; workers may claim by kind")
    .option("--priority <n>", "higher runs first", wholeNumber(-MAX_PRIORITY, MAX_PRIORITY))
    .addOption(
      new Option("--preempt <how>", "when it interrupts the task in progress below it").choices(
        PREEMPTS,
      ),
    )
    .option("--delay-ms <n>", "let it arrive only after this time", wholeNumber(0, 2 ** 47))
    .option("--parent <id>", "the parent task, which receives its result")
    .option("--deadline <time>", "time by which it must have ended, or else it fails")
    .option("--attempts <n>", "maximum number of attempts", wholeNumber(1, 1_000))
    .option("--actor <name>", "who pushed it; recorded in the history")
    .option("--key <key>", "idempotency key: with the same key it is pushed only once")
    .action(async (stack: string, flags: PushFlags) => {
      const { id, kind, priority, preempt, delayMs, parent, actor } = flags;
      const retry = flags.attempts === undefined ? undefined : { maxAttempts: flags.attempts };
      const input =
        flags.input === undefined ? undefined : await readJson(flags.input, "--input", terminal);
      const deadline = flags.deadline === undefined ? undefined : timeOf(flags.deadline);
      const task = await withClient(flags, (client) =>
        client.tasks.push(stack, {
          ...callOptions(terminal),
          ...given({ id, kind, priority, preempt, delayMs, parent, actor, retry, input, deadline }),
          ...given({ idempotencyKey: flags.key }),
        }),
      );
      const text = `pushed ${task.id} on ${task.stack}: ${task.phase}`;
      await writeLine(terminal.stdout, flags.json ? toJson(task) : printable(text));
    });
  withExamples(withServiceOptions(command), [
    [`agent_runtime state push agent-1 --input '{"goal":"book a flight"}'`, "push one task"],
    ["agent_runtime state push agent-1 --preempt now --input @urgent.json", "interrupt at once"],
  ]);
}

function timeOf(text: string): Date {
  const time = parseTime(text);
  if (time !== undefined) return time;
  throw new UsageError("--deadline takes a time like 2030-01-31T12:00:00Z");
}
