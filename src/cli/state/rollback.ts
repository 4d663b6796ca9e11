import type { Command } from "commander";
import type { HttpStateClient } from "../../client/http-client.ts";
import type { Rollback, RollbackEffect, RollbackState } from "../../state/rollback.ts";
import { versionNumber } from "../arguments.ts";
import { CommandFailed } from "../failure.ts";
import { given } from "../given.ts";
import { withExamples } from "../help.ts";
import { toJson } from "../print/json.ts";
import { formatTime } from "../print/numbers.ts";
import { formatTable } from "../print/table.ts";
import type { Column } from "../print/table.ts";
import { printable } from "../print/text.ts";
import { callOptions, withClient, withServiceOptions } from "../service-options.ts";
import type { ServiceOptions } from "../service-options.ts";
import { readAnswer, write, writeLine } from "../terminal.ts";
import type { Terminal } from "../terminal.ts";

interface RollbackFlags extends ServiceOptions {
  readonly to?: bigint;
  readonly expectedStep?: bigint;
  readonly reason?: string;
  readonly actor?: string;
  readonly key?: string;
  readonly history?: boolean;
  readonly plan?: boolean;
  readonly yes?: boolean;
}

const COLUMNS: readonly Column<RollbackState>[] = [
  { title: "STATE", cell: ({ id }) => id, atLeast: 12 },
  { title: "TYPE", cell: ({ type }) => type },
  {
    title: "ACTION",
    cell: ({ action, supersededBy }) =>
      supersededBy === undefined ? action : `${action} by ${supersededBy}`,
  },
  { title: "VERSION", cell: ({ version }) => String(version), align: "right" },
  { title: "BACK TO", cell: ({ targetVersion }) => String(targetVersion || "-"), align: "right" },
  { title: "AS", cell: ({ newVersion }) => String(newVersion), align: "right" },
  { title: "PHASE", cell: ({ phase }) => phase ?? "-" },
];

const EFFECT_COLUMNS: readonly Column<RollbackEffect>[] = [
  { title: "TASK", cell: ({ task }) => task, atLeast: 12 },
  { title: "EFFECT", cell: ({ key }) => key },
  { title: "DONE", cell: ({ doneAt }) => formatTime(doneAt) },
];

/** Adds `rollback`: takes a scope back to an earlier step. */
export function addRollback(group: Command, terminal: Terminal): void {
  const command = group
    .command("rollback")
    .description("take a scope back to an earlier step, by appending a step that restores it")
    .argument("<scope>", "id of the scope, normally an agent")
    .option(
      "--to <step>",
      "the step to restore (default: the newest good one before HEAD)",
      versionNumber(0n),
    )
    .option("--expected-step <step>", "only if the scope is at this step", versionNumber(1n))
    .option("--reason <text>", "why; recorded with the step")
    .option("--actor <name>", "who; recorded with the step")
    .option("--key <key>", "idempotency key: repeating the command with it is safe")
    .option("--history", "restore from main's history instead of the rollback database")
    .option("--plan", "only show what it would do")
    .option("--yes", "do not ask for confirmation; required without a terminal")
    .action((scope: string, flags: RollbackFlags) => runRollback(terminal, scope, flags));
  withExamples(withServiceOptions(command), [
    ["agent_runtime state rollback agent-1 --plan", "what going back one step would do"],
    ["agent_runtime state rollback agent-1 --reason 'bad import'", "show the plan, ask, and do it"],
    ["agent_runtime state rollback agent-1 --to 17 --yes", "restore step 17"],
  ]);
}

async function runRollback(terminal: Terminal, scope: string, flags: RollbackFlags): Promise<void> {
  await withClient(flags, async (client) => {
    const plan = await goBack(client, scope, { terminal, flags, dryRun: true });
    if (flags.plan === true || plan.replayed) return await print(terminal, flags, plan);
    if (flags.yes !== true) await consent(terminal, flags, plan);
    // What was shown is what is done: where the scope moved on meanwhile, it is refused.
    const expectedStep = flags.expectedStep ?? plan.undoneStep;
    const asked = { ...flags, expectedStep };
    const done = await goBack(client, scope, { terminal, flags: asked, dryRun: false });
    await print(terminal, flags, done);
  });
}

/** Shows the plan and asks; where nobody can be asked, that is all. */
async function consent(terminal: Terminal, flags: RollbackFlags, plan: Rollback): Promise<void> {
  if (terminal.stdin.isTTY !== true) {
    await print(terminal, flags, plan);
    throw new CommandFailed("nothing was changed: this is only the plan", {
      next: "review it, then repeat the command with --yes",
    });
  }
  await write(
    terminal.stderr,
    `${lines(plan, terminal.stderr.columns).join("\n")}\ngo back? [y/N] `,
  );
  if (!/^y(?:es)?$/i.test(await readAnswer(terminal))) {
    throw new CommandFailed("nothing was changed");
  }
}

function goBack(
  client: HttpStateClient,
  scope: string,
  call: {
    readonly terminal: Terminal;
    readonly flags: RollbackFlags;
    readonly dryRun: boolean;
  },
): Promise<Rollback> {
  const { to, expectedStep, reason, actor, key, history } = call.flags;
  return client.rollback(scope, {
    ...callOptions(call.terminal),
    ...given({ toStep: to, expectedStep, reason, actor, idempotencyKey: key }),
    ...(history === true ? { source: "history" as const } : {}),
    dryRun: call.dryRun,
  });
}

async function print(terminal: Terminal, flags: RollbackFlags, done: Rollback): Promise<void> {
  const text = flags.json ? toJson(done) : lines(done, terminal.stdout.columns).join("\n");
  await writeLine(terminal.stdout, text);
}

function lines(rollback: Rollback, columns: number | undefined): string[] {
  const { scope, step, restoredStep, undoneStep, source, quarantined, dryRun } = rollback;
  const { fenced, effects } = rollback;
  const verb = dryRun ? "would go" : "went";
  const from = source === "rollback" ? "the rollback database" : "history";
  const again = rollback.replayed ? " (done before with this key; nothing changed now)" : "";
  return [
    printable(
      `${scope} ${verb} from step ${undoneStep} back to what it was at step ${restoredStep}, from ${from}, as step ${step}${again}`,
    ),
    ...(quarantined.length === 0 ? [] : [`quarantined: ${quarantined.join(", ")}`]),
    ...(fenced.length === 0 ? [] : [printable(`taken from their workers: ${fenced.join(", ")}`)]),
    ...formatTable(COLUMNS, rollback.states, columns),
    ...(effects.length === 0
      ? []
      : ["done outside since, and not undone:", ...formatTable(EFFECT_COLUMNS, effects, columns)]),
  ];
}
