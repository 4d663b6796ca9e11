import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Option } from "commander";
import type { Command } from "commander";
import type { HttpStateClient } from "../../client/http-client.ts";
import { packageRoot } from "../../service/package-root.ts";
import { AgentRuntimeError } from "../../state/errors.ts";
import type { Task } from "../../state/task.ts";
import { wholeNumber } from "../arguments.ts";
import { OwnService } from "../demo/own-service.ts";
import { Picture } from "../demo/picture.ts";
import { recordedTask } from "../demo/recorded-task.ts";
import { playStory } from "../demo/story.ts";
import type { StoryEnd, StoryEvent, StoryOptions } from "../demo/story.ts";
import { given } from "../given.ts";
import { withExamples } from "../help.ts";
import { painter } from "../print/color.ts";
import { toJson } from "../print/json.ts";
import { printable } from "../print/text.ts";
import { readRuns } from "../replay/read-runs.ts";
import { withClient } from "../service-options.ts";
import { writeLine } from "../terminal.ts";
import type { Terminal } from "../terminal.ts";

interface DemoFlags {
  readonly url?: string;
  readonly token?: string;
  readonly namespace?: string;
  readonly json?: true;
  readonly stepMs: number;
}

/** Recorded runs of an agent that helps customers of an airline; the last one takes eight steps. */
const RECORDED = "tau-airline.jsonl";

/** Adds `demo lifo`: what an agent's stack of tasks does, with recorded steps of a real agent. */
export function addDemo(group: Command, terminal: Terminal): void {
  const demo = group.command("demo").description("run a demonstration");
  const command = demo
    .command("lifo")
    .description("an agent is interrupted twice, the service is killed, and every task ends")
    .option("--step-ms <ms>", "how long each step takes", wholeNumber(0, 60_000), 400)
    .optionsGroup("The service:")
    .option("--url <url>", "a running service, which is not killed (default: one of its own)")
    .addOption(new Option("--token <token>", "bearer token, with --url").env("AGENT_RUNTIME_TOKEN"))
    .addOption(
      new Option("--namespace <name>", "namespace of the states, with --url").env(
        "AGENT_RUNTIME_NAMESPACE",
      ),
    )
    .option("--json", "print JSON for programs")
    .action((flags: DemoFlags) => demoLifo(flags, terminal));
  withExamples(command, [
    ["agent_runtime state demo lifo", "on a service of its own, in a temporary folder"],
    ["agent_runtime state demo lifo --url http://127.0.0.1:8080", "on a running service"],
  ]);
}

async function demoLifo(flags: DemoFlags, terminal: Terminal): Promise<void> {
  if (flags.url !== undefined) {
    const { url, token, namespace } = flags;
    const reach = { url, ...given({ token, namespace }) };
    const agent = `airline-agent-${crypto.randomUUID().slice(0, 8)}`;
    await withClient(reach, (client) => show(client, { agent, flags, terminal }));
    return;
  }
  const service = await OwnService.start(terminal);
  try {
    await withClient({ url: service.url }, (client) =>
      show(client, { agent: "airline-agent", flags, terminal, service }),
    );
  } finally {
    await service.stop();
  }
}

interface Setting {
  readonly agent: string;
  readonly flags: DemoFlags;
  readonly terminal: Terminal;
  readonly service?: OwnService;
}

async function show(
  client: HttpStateClient,
  { agent, flags, terminal, service }: Setting,
): Promise<void> {
  const tasks = storyTasks();
  const { stdout: screen } = terminal;
  const picture = new Picture({ screen, paint: painter(screen, terminal.env), tasks });
  const events: StoryEvent[] = [];
  const end = await playStory({
    client,
    agent,
    tasks,
    stepMs: flags.stepMs,
    signal: terminal.signal,
    ...(service === undefined ? {} : { crash: crashOf(service) }),
    onEvent: async (event) => {
      events.push(event);
      if (!flags.json) picture.show(event, await stackOf(client, agent));
    },
  });
  const report = { agent, wasKilled: service !== undefined, ...end, events };
  await writeLine(screen, flags.json ? toJson(report) : sentence(end));
  if (!flags.json && flags.url !== undefined) {
    const where = `--url ${flags.url}`;
    await writeLine(screen, printable(`agent_runtime state history ${agent}.A ${where}`));
  }
}

function crashOf(service: OwnService): NonNullable<StoryOptions["crash"]> {
  return async (tell) => {
    const { pid } = service;
    await service.kill();
    await tell({ what: "killed", pid });
    await service.startAgain();
    await tell({ what: "back", pid: service.pid });
  };
}

function storyTasks(): StoryOptions["tasks"] {
  const file = join(packageRoot(), "examples", RECORDED);
  const [c, b, a] = readRuns(readFileSync(file, "utf8"), file);
  return [recordedTask("A", a!), recordedTask("B", b!), recordedTask("C", c!)];
}

/** Null while the service is away. */
async function stackOf(client: HttpStateClient, agent: string): Promise<readonly Task[] | null> {
  try {
    return await client.tasks.stack(agent, { timeoutMs: 2_000 });
  } catch (error) {
    if (error instanceof AgentRuntimeError && error.retryable) return null;
    throw error;
  }
}

function sentence({ order, runs, steps, doneAgain }: StoryEnd): string {
  const again = doneAgain === 0 ? "each of them done once" : `${doneAgain} of them done again`;
  const resumed = runs["A"]?.at(-1) ?? 1;
  return `The order was ${order.join(", ")}. A went on at step ${resumed}. ${steps} steps, ${again}.`;
}
