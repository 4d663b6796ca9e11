import { Command, CommanderError } from "commander";
import { packageVersion } from "../service/package-root.ts";
import {
  CommandFailed,
  EXIT,
  UsageError,
  describeError,
  errorToJson,
  exitCodeOf,
} from "./failure.ts";
import type { ExitCode } from "./failure.ts";
import { withExamples } from "./help.ts";
import { addBackup } from "./state/backup.ts";
import { addBench } from "./state/bench.ts";
import { addDemo } from "./state/demo.ts";
import { addDoctor } from "./state/doctor.ts";
import { addDelete } from "./state/delete.ts";
import { addDiff } from "./state/diff.ts";
import { addExport } from "./state/export.ts";
import { addFsck } from "./state/fsck.ts";
import { addGet } from "./state/get.ts";
import { addHistory } from "./state/history.ts";
import { addHold, addRelease } from "./state/hold.ts";
import { addImport } from "./state/import.ts";
import { addCaptor } from "./captor.ts";
import { addHook } from "./hook.ts";
import { addReflector } from "./reflector.ts";
import { addLifecycle } from "./state/lifecycle.ts";
import { addList } from "./state/list.ts";
import { addMigrate } from "./state/migrate.ts";
import { addParked } from "./state/parked.ts";
import { addReplay } from "./state/replay.ts";
import { addRestore } from "./state/restore.ts";
import { addRollback } from "./state/rollback.ts";
import { addScope } from "./state/scope.ts";
import { addServe } from "./state/serve.ts";
import { addSet } from "./state/set.ts";
import { addDead } from "./state/tasks/dead.ts";
import { addPush } from "./state/tasks/push.ts";
import { addStack } from "./state/tasks/stack.ts";
import { addCancel, addInput, addRetry, addTask } from "./state/tasks/task.ts";
import { addTopics } from "./state/topics.ts";
import { addWatch } from "./state/watch.ts";
import { writeLine } from "./terminal.ts";
import type { Terminal } from "./terminal.ts";
import { addWebhook } from "./webhook.ts";

const EXIT_CODES = `
Exit codes:
  0 done   1 refused or failed   2 wrong usage   3 conflict   4 not found   5 unavailable
  6 incomplete: main was restored, but some of its steps are lost`;

/** Runs one command line, without the program's name, to its end; never throws. */
export async function runProgram(args: readonly string[], terminal: Terminal): Promise<ExitCode> {
  const isJson = args.includes("--json");
  const program = buildProgram(terminal, isJson);
  try {
    await program.parseAsync(withDefaultCommand(args), { from: "user" });
    return EXIT.done;
  } catch (error) {
    // Commander has said itself what was wrong, where that is for people, or printed the help that was asked for.
    if (error instanceof CommanderError) {
      if (error.exitCode === 0) return EXIT.done;
      if (isJson) await writeLine(terminal.stderr, errorToJson(usageError(error)));
      return EXIT.usage;
    }
    if (terminal.signal.aborted && !(error instanceof CommandFailed)) {
      await writeLine(terminal.stderr, "agent_runtime: interrupted");
      return EXIT.failed;
    }
    await writeLine(terminal.stderr, isJson ? errorToJson(error) : describeError(error));
    return exitCodeOf(error);
  }
}

function usageError({ message }: CommanderError): UsageError {
  return new UsageError(message.replace(/^error: /, ""));
}

/** `state` alone, or with options only, serves. */
export function withDefaultCommand(args: readonly string[]): string[] {
  const [group, first] = args;
  if (group !== "state") return [...args];
  const isHelp = first !== undefined && /^(-h|--help|-V|--version)$/.test(first);
  const isOption = first === undefined || first.startsWith("-");
  return isOption && !isHelp ? ["state", "serve", ...args.slice(1)] : [...args];
}

function buildProgram(terminal: Terminal, isJson: boolean): Command {
  const { stdout, stderr } = terminal;
  const program = new Command("agent_runtime")
    .description("Runtime services for AI agents.")
    .version(packageVersion())
    // Without this, `get ID --version 3` would print the version of the program.
    .enablePositionalOptions()
    .exitOverride()
    .configureOutput({
      writeOut: (text) => void stdout.write(text),
      writeErr: (text) => void (isJson || stderr.write(text)),
      getOutHelpWidth: () => stdout.columns ?? 100,
      getErrHelpWidth: () => stderr.columns ?? 100,
    })
    .showHelpAfterError("next: see --help")
    .addHelpText("after", EXIT_CODES);
  withExamples(program, [
    ["agent_runtime state", "start the service"],
    ["agent_runtime state --help", "list its commands"],
  ]);

  const state = program
    .command("state")
    .description("State of AI agents: every step versioned, durable and reversible.")
    .usage("[command] [options]")
    .version(packageVersion())
    .addHelpText("after", EXIT_CODES);
  withExamples(state, [
    ["agent_runtime state", "start the service"],
    ["agent_runtime state watch", "see each change as it happens"],
    ["agent_runtime state replay examples/tau-airline.jsonl", "replay recorded agents"],
    ["agent_runtime state set --help", "the options of one command"],
  ]);
  addCommands(state, terminal);
  addHook(program, terminal);
  addCaptor(program, terminal);
  addReflector(program, terminal);
  addWebhook(program, terminal);
  return program;
}

function addCommands(state: Command, terminal: Terminal): void {
  state.commandsGroup("The service:");
  addServe(state, terminal);
  addMigrate(state, terminal);
  addBackup(state, terminal);
  addRestore(state, terminal);
  addDoctor(state, terminal);
  addFsck(state, terminal);
  addBench(state, terminal);
  addDemo(state, terminal);
  state.commandsGroup("One state:");
  addGet(state, terminal);
  addSet(state, terminal);
  addDelete(state, terminal);
  addHistory(state, terminal);
  addDiff(state, terminal);
  state.commandsGroup("One scope:");
  addScope(state, terminal);
  addRollback(state, terminal);
  addHold(state, terminal);
  addRelease(state, terminal);
  state.commandsGroup("Tasks:");
  addStack(state, terminal);
  addPush(state, terminal);
  addTask(state, terminal);
  addCancel(state, terminal);
  addRetry(state, terminal);
  addInput(state, terminal);
  addDead(state, terminal);
  state.commandsGroup("Many states:");
  addList(state, terminal);
  addWatch(state, terminal);
  addExport(state, terminal);
  addImport(state, terminal);
  addReplay(state, terminal);
  state.commandsGroup("Messages and pods:");
  addTopics(state, terminal);
  addParked(state, terminal);
  addLifecycle(state, terminal);
}
