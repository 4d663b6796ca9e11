import type { Command } from "commander";
import type { Reported } from "../../../state/task-face.ts";
import { given } from "../../given.ts";
import { withExamples } from "../../help.ts";
import { toJson } from "../../print/json.ts";
import { printable } from "../../print/text.ts";
import { readJson } from "../../read-input.ts";
import { callOptions, withClient, withServiceOptions } from "../../service-options.ts";
import type { ServiceOptions } from "../../service-options.ts";
import { writeLine } from "../../terminal.ts";
import type { Terminal } from "../../terminal.ts";
import { taskLines } from "./print-task.ts";

interface OrderFlags extends ServiceOptions {
  readonly reason?: string;
  readonly actor?: string;
}

interface AnswerFlags extends ServiceOptions {
  readonly data: string;
  readonly event?: string;
  readonly actor?: string;
}

/** Adds `task`: one task with its children and effects. */
export function addTask(group: Command, terminal: Terminal): void {
  const command = group
    .command("task")
    .description("show one task, with its children and effects")
    .argument("<id>", "id of the task")
    .action(async (id: string, flags: ServiceOptions) => {
      const task = await withClient(flags, (client) => client.tasks.get(id, callOptions(terminal)));
      await writeLine(terminal.stdout, flags.json ? toJson(task) : taskLines(task).join("\n"));
    });
  withExamples(withServiceOptions(command), [
    ["agent_runtime state task task-1", "everything about it"],
  ]);
}

/** Adds `cancel`: a task and all that it pushed. */
export function addCancel(group: Command, terminal: Terminal): void {
  const command = withOrderOptions(
    group
      .command("cancel")
      .description("cancel a task and all its descendants")
      .argument("<id>", "id of the task"),
  ).action(async (id: string, flags: OrderFlags) => {
    const items = await withClient(flags, (client) =>
      client.tasks.cancel(id, orderOf(flags, terminal)),
    );
    const text = items.map((task) => printable(`${task.id}: ${task.phase}`)).join("\n");
    await writeLine(terminal.stdout, flags.json ? toJson({ items }) : text);
  });
  withExamples(withServiceOptions(command), [
    ["agent_runtime state cancel task-1 --reason 'not needed'", "it and its children"],
  ]);
}

/** Adds `retry`: a task that is confused, or waits for its next attempt, is ready now. */
export function addRetry(group: Command, terminal: Terminal): void {
  const command = withOrderOptions(
    group
      .command("retry")
      .description("retry a task now that is confused or waits for its next attempt")
      .argument("<id>", "id of the task"),
  ).action(async (id: string, flags: OrderFlags) => {
    const done = await withClient(flags, (client) =>
      client.tasks.retry(id, orderOf(flags, terminal)),
    );
    await printReported(done, flags, terminal);
  });
  withExamples(withServiceOptions(command), [["agent_runtime state retry task-1", "now"]]);
}

/** Adds `input`: what a task waits for. */
export function addInput(group: Command, terminal: Terminal): void {
  const command = group
    .command("input")
    .description("send a task the input or event that it waits for")
    .argument("<id>", "id of the task")
    .requiredOption("--data <json>", "JSON, @FILE, or - for standard input")
    .option("--event <name>", "name of the event it waits for (default: it waits for input)")
    .option("--actor <name>", "who answers; recorded in the history")
    .action(async (id: string, flags: AnswerFlags) => {
      const data = await readJson(flags.data, "--data", terminal);
      const { event, actor } = flags;
      const answer = { ...callOptions(terminal), data, ...given({ event, actor }) };
      const done = await withClient(flags, (client) => client.tasks.answer(id, answer));
      await printReported(done, flags, terminal);
    });
  withExamples(withServiceOptions(command), [
    [`agent_runtime state input task-1 --data '"yes"'`, "answer its question"],
  ]);
}

function withOrderOptions(command: Command): Command {
  return command.option("--reason <text>", "why").option("--actor <name>", "who");
}

function orderOf(
  { reason, actor }: OrderFlags,
  terminal: Terminal,
): { readonly reason?: string; readonly actor?: string; readonly signal: AbortSignal } {
  return { ...callOptions(terminal), ...given({ reason, actor }) };
}

async function printReported(
  done: Reported,
  flags: ServiceOptions,
  terminal: Terminal,
): Promise<void> {
  const text = flags.json ? toJson(done) : printable(`${done.id}: ${done.phase}`);
  await writeLine(terminal.stdout, text);
}
