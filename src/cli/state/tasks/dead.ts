import type { Command } from "commander";
import type { StateSummary } from "../../../state/state.ts";
import { wholeNumber } from "../../arguments.ts";
import { CommandFailed } from "../../failure.ts";
import { given } from "../../given.ts";
import { withExamples } from "../../help.ts";
import { toJson } from "../../print/json.ts";
import { formatTime } from "../../print/numbers.ts";
import { formatTable } from "../../print/table.ts";
import type { Column } from "../../print/table.ts";
import { printable } from "../../print/text.ts";
import { callOptions, withClient, withServiceOptions } from "../../service-options.ts";
import type { ServiceOptions } from "../../service-options.ts";
import { writeLine } from "../../terminal.ts";
import type { Terminal } from "../../terminal.ts";

interface ListFlags extends ServiceOptions {
  readonly stack?: string;
  readonly limit: number;
  readonly after?: string;
}

const COLUMNS: readonly Column<StateSummary>[] = [
  { title: "TASK", cell: ({ id }) => id, atLeast: 16 },
  { title: "STACK", cell: ({ scope }) => scope, atLeast: 8 },
  { title: "PHASE", cell: ({ phase }) => phase ?? "-" },
  { title: "SINCE", cell: ({ updatedAt }) => formatTime(updatedAt) },
];

/** Adds `dead`: tasks that failed for good, and another try of them. */
export function addDead(group: Command, terminal: Terminal): void {
  const command = group.command("dead").description("list and redrive tasks that failed for good");
  addList(command, terminal);
  addRedrive(command, terminal);
  withExamples(command, [
    ["agent_runtime state dead list", "list them"],
    ["agent_runtime state dead redrive task-1", "push it again"],
  ]);
}

function addList(dead: Command, terminal: Terminal): void {
  const command = dead
    .command("list", { isDefault: true })
    .description("list tasks that failed after their last attempt")
    .option("--stack <agent>", "only tasks of this stack")
    .option("--limit <n>", "maximum number of results", wholeNumber(1, 1_000), 100)
    .option("--after <cursor>", "continue after the previous page")
    .action(async (flags: ListFlags) => {
      const { stack: scope, limit, after } = flags;
      const page = await withClient(flags, (client) =>
        client.list({
          ...callOptions(terminal),
          type: "task",
          phase: "failed",
          limit,
          ...given({ scope, after }),
        }),
      );
      const lines = flags.json
        ? [toJson(page)]
        : page.items.length === 0
          ? ["no task failed"]
          : formatTable(COLUMNS, page.items, terminal.stdout.columns);
      const more = page.next === undefined || flags.json ? [] : [`more: --after ${page.next}`];
      await writeLine(terminal.stdout, [...lines, ...more].join("\n"));
    });
  withExamples(withServiceOptions(command), [
    ["agent_runtime state dead list --stack agent-1", "those of one agent"],
  ]);
}

function addRedrive(dead: Command, terminal: Terminal): void {
  const command = dead
    .command("redrive")
    .description("push a failed task again, as a new task; at most once")
    .argument("<id>", "id of the task")
    .action(async (id: string, flags: ServiceOptions) => {
      const call = callOptions(terminal);
      const task = await withClient(flags, async (client) => {
        const { phase, stack, kind, priority, preempt, input } = await client.tasks.get(id, call);
        if (phase !== "failed") {
          const next =
            phase === "confused"
              ? `agent_runtime state retry ${id}`
              : "see which did: agent_runtime state dead list";
          throw new CommandFailed(`${id} has not failed, it is ${phase}`, { next });
        }
        const again = { kind, priority, preempt, input, supersedes: id };
        const key = `redrive ${id}`.slice(0, 200);
        return await client.tasks.push(stack, { ...call, ...again, idempotencyKey: key });
      });
      const text = `${task.id} takes the place of ${id} on ${task.stack}: ${task.phase}`;
      await writeLine(terminal.stdout, flags.json ? toJson(task) : printable(text));
    });
  withExamples(withServiceOptions(command), [
    ["agent_runtime state dead redrive task-1", "once the cause was fixed"],
  ]);
}
