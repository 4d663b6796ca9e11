import { setMaxListeners } from "node:events";
import type { Command } from "commander";
import { systemClock } from "../../service/clock.ts";
import type { StateFace } from "../../state/face.ts";
import { speedArgument, wholeNumber } from "../arguments.ts";
import { CommandFailed, EXIT } from "../failure.ts";
import { withExamples } from "../help.ts";
import { toJson } from "../print/json.ts";
import { formatBytes, formatCount, formatDuration } from "../print/numbers.ts";
import { Progress } from "../print/progress.ts";
import { printable } from "../print/text.ts";
import { readTextFile } from "../read-input.ts";
import { planRun } from "../replay/plan-run.ts";
import type { RunPlan } from "../replay/plan-run.ts";
import { playRun } from "../replay/play-run.ts";
import { readRuns, repeatRuns } from "../replay/read-runs.ts";
import { flagsToRepeat, withClient, withServiceOptions } from "../service-options.ts";
import type { ServiceOptions } from "../service-options.ts";
import { mapInOrder } from "../side-by-side.ts";
import { writeLine } from "../terminal.ts";
import type { Screen, Terminal } from "../terminal.ts";

interface ReplayFlags extends ServiceOptions {
  readonly speed: number;
  readonly runs?: number;
  readonly prefix: string;
  readonly concurrency: number;
}

/** What a replay did. */
export interface ReplayReport {
  readonly agents: number;
  /** Agents that an earlier replay had made in full. */
  readonly agentsThereBefore: number;
  readonly tasks: number;
  readonly steps: number;
  readonly messages: number;
  readonly bytesSent: number;
  readonly elapsedMs: number;
  readonly stepsPerSecond: number;
  /** The agent to look at. */
  readonly example: {
    readonly agent: string;
    readonly task: string;
    readonly conversation: string;
  };
}

/** Adds `replay`: recorded runs of real agents, as state. */
export function addReplay(group: Command, terminal: Terminal): void {
  const command = group
    .command("replay")
    .description("replay recorded runs of real agents into the service")
    .argument("<file>", "runs of tau-bench (.jsonl, .jsonl.gz) or SWE-agent (.traj.json)")
    .option("--speed <speed>", "recorded, full, or a factor like 10x", speedArgument, 1)
    .option("--runs <n>", "how many runs (default: all in the file)", wholeNumber(1, 10_000))
    .option("--prefix <text>", "prefix for all ids, to replay the same run again", "")
    .option("--concurrency <n>", "how many agents at the same time", wholeNumber(1, 256), 8)
    .action((file: string, flags: ReplayFlags) => replay(file, flags, terminal));
  withExamples(withServiceOptions(command), [
    [
      "agent_runtime state replay examples/swe-agent-marshmallow-1867.traj.json",
      "at its original speed",
    ],
    ["agent_runtime state replay examples/tau-airline.jsonl --speed 10x", "ten times faster"],
    ["agent_runtime state replay runs.jsonl.gz --speed full --prefix load-", "as fast as possible"],
  ]);
}

async function replay(file: string, flags: ReplayFlags, terminal: Terminal): Promise<void> {
  const recorded = readRuns(await readTextFile(file, terminal), file);
  const runs = repeatRuns(recorded, flags.runs ?? recorded.length);
  const plans = runs.map((run) => planRun(run, flags.prefix));
  const report = await withClient(flags, (client) => playAll(client, plans, { flags, terminal }));
  if (report.agents === 0) throw nothingNew(report, flagsToRepeat(flags, terminal));
  const text = flags.json ? toJson(report) : formatReport(report, flagsToRepeat(flags, terminal));
  await writeLine(terminal.stdout, text);
}

async function playAll(
  client: StateFace,
  plans: readonly RunPlan[],
  { flags, terminal }: { readonly flags: ReplayFlags; readonly terminal: Terminal },
): Promise<ReplayReport> {
  const tally = new Tally(plans, { screen: terminal.stderr, isQuiet: flags.json === true });
  const stop = new AbortController();
  const signal = AbortSignal.any([terminal.signal, stop.signal]);
  setMaxListeners(0, signal);
  try {
    await mapInOrder(plans, flags.concurrency, async (plan) => {
      const isNew = await playRun(plan, {
        client,
        speed: flags.speed,
        signal,
        isPatient: () => tally.hasBegun,
        onStep: (step) => tally.step(step),
        onTrouble: () => tally.trouble(),
      });
      if (isNew) tally.made(plan);
    });
  } catch (error) {
    // One agent that fails ends the others: nobody would wait for them.
    stop.abort();
    throw terminal.signal.aborted ? tally.interrupted(error) : error;
  } finally {
    tally.end();
  }
  return tally.report();
}

/** Counts what is played, and shows it. */
class Tally {
  readonly #plans: readonly RunPlan[];
  readonly #progress: Progress;
  readonly #totalSteps: number;
  readonly #startedMs = systemClock.monotonicMs();
  readonly #made: RunPlan[] = [];
  #steps = 0;
  #newSteps = 0;
  #bytesSent = 0;

  constructor(
    plans: readonly RunPlan[],
    show: { readonly screen: Screen; readonly isQuiet: boolean },
  ) {
    this.#plans = plans;
    this.#totalSteps = sumOf(plans, ({ steps }) => steps.length);
    this.#progress = new Progress({ ...show, total: this.#totalSteps });
  }

  get hasBegun(): boolean {
    return this.#steps > 0;
  }

  step({ bytes, isNew }: { readonly bytes: number; readonly isNew: boolean }): void {
    this.#steps += 1;
    this.#bytesSent += bytes;
    if (isNew) this.#newSteps += 1;
    const steps = `${formatCount(this.#steps)} of ${formatCount(this.#totalSteps)} steps`;
    const agents = `agents done: ${this.#made.length} of ${this.#plans.length}`;
    this.#progress.update(this.#steps, `${steps}, ${agents}`);
  }

  trouble(): void {
    this.#progress.update(this.#steps, "the service does not answer; waiting for it ...");
  }

  made(plan: RunPlan): void {
    this.#made.push(plan);
    this.#progress.line(printable(`${plan.agent}: ${plan.steps.length} steps`));
  }

  end(): void {
    this.#progress.end();
  }

  interrupted(cause: unknown): CommandFailed {
    const done = `interrupted after ${formatCount(this.#steps)} steps`;
    return new CommandFailed(done, {
      next: "repeat the command to continue where it stopped",
      cause,
    });
  }

  report(): ReplayReport {
    const elapsedMs = systemClock.monotonicMs() - this.#startedMs;
    const { agent, task, conversation } = this.#made[0] ?? this.#plans[0]!;
    return {
      agents: this.#made.length,
      agentsThereBefore: this.#plans.length - this.#made.length,
      tasks: sumOf(this.#made, ({ tasks }) => tasks),
      steps: this.#newSteps,
      messages: sumOf(this.#made, ({ messages }) => messages),
      bytesSent: this.#bytesSent,
      elapsedMs: Math.round(elapsedMs),
      stepsPerSecond: Math.round((this.#newSteps / elapsedMs) * 10_000) / 10,
      example: { agent, task, conversation },
    };
  }
}

function sumOf(plans: readonly RunPlan[], of: (plan: RunPlan) => number): number {
  return plans.reduce((sum, plan) => sum + of(plan), 0);
}

function nothingNew(report: ReplayReport, service: string): CommandFailed {
  const { agentsThereBefore, example } = report;
  const who = agentsThereBefore === 1 ? `${example.agent} was` : "all of these agents were";
  return new CommandFailed(`${who} replayed before; nothing was changed`, {
    next: `look at it: agent_runtime state list --scope ${example.agent}${service}; or replay it again: --prefix again-`,
    exitCode: EXIT.conflict,
  });
}

/** The report for people, and what to type to look at what it made. */
export function formatReport(report: ReplayReport, service: string): string {
  const { agents, agentsThereBefore, tasks, steps, messages, bytesSent, elapsedMs } = report;
  const { agent, conversation } = report.example;
  const before = agentsThereBefore === 0 ? "" : ` (${agentsThereBefore} were there before)`;
  const did = [
    `${formatCount(agents)} ${agents === 1 ? "agent" : "agents"}${before}`,
    `${formatCount(tasks)} tasks`,
    `${formatCount(messages)} messages`,
    `${formatCount(steps)} steps`,
  ].join(", ");
  const rate = `${formatCount(report.stepsPerSecond)} steps/s`;
  return printable(`replayed ${did}`)
    .concat(`\nsent ${formatBytes(bytesSent)} in ${formatDuration(elapsedMs)}: ${rate}\n\n`)
    .concat(
      [
        "look at the result:",
        `  agent_runtime state list --scope ${agent}${service}`,
        `  agent_runtime state history ${conversation}${service}`,
        `  agent_runtime state diff ${conversation}${service}`,
        `  agent_runtime state get ${agent}${service}`,
      ]
        .map(printable)
        .join("\n"),
    );
}
