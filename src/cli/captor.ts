import type { Command } from "commander";
import { HttpStateClient } from "../client/http-client.ts";
import { CAPTOR_OPTIONS } from "../config/captor-options.ts";
import { loadConfig } from "../config/load.ts";
import type { Config, OptionKey } from "../config/options.ts";
import { createLogger } from "../service/log.ts";
import type { Logger } from "../service/log-port.ts";
import type { FactSink } from "../state/fact-sink.ts";
import { factJson } from "../state/lifecycle-fact.ts";
import type { LifecycleFact } from "../state/lifecycle-fact.ts";
import { configFlag } from "./config-flag.ts";
import { drainOption, FACT_VARIABLES, openFacts, withFactOptions } from "./fact-options.ts";
import type { FactOptions } from "./fact-options.ts";
import { given } from "./given.ts";
import { withExamples } from "./help.ts";
import { toJson } from "./print/json.ts";
import { pad, printable } from "./print/text.ts";
import { CLIENT_VARIABLES } from "./service-options.ts";
import { writeLine } from "./terminal.ts";
import type { Terminal } from "./terminal.ts";

interface Flags extends FactOptions {
  readonly once?: true;
  readonly print?: true;
  readonly drainMs: number;
}

/** Adds `captor`: what tells what happens to the sandboxes and containers of a node. */
export function addCaptor(program: Command, terminal: Terminal): void {
  const command = program
    .command("captor")
    .description("Reports what happens to the Kata containers of this node (docs/kata.md).")
    .option("--print", "print facts instead of sending them")
    .option("--once", "report what is there now, and exit")
    .addOption(drainOption())
    .action((flags: Flags) => capture(flags, terminal));
  withFactOptions(command).optionsGroup("The node:");
  for (const key of Object.keys(CAPTOR_OPTIONS)) command.addOption(configFlag(key as OptionKey));
  withExamples(command, [
    [
      "agent_runtime captor --url http://agent-state:8080",
      "report this node's containers; as root",
    ],
    ["agent_runtime captor --to rocketmq", "send directly to RocketMQ"],
    ["agent_runtime captor --once --print", "print what would be reported now"],
    [
      "agent_runtime captor --print --json --captor-runtimes .",
      "print everything that happens, for any runtime",
    ],
  ]);
}

async function capture(flags: Flags, terminal: Terminal): Promise<void> {
  const { cwd, env, stderr } = terminal;
  const config = loadConfig({
    flags: { ...flags },
    env,
    cwd,
    otherVariables: [...CLIENT_VARIABLES, ...FACT_VARIABLES],
    ...given({ file: flags.config }),
  });
  const log = createLogger({
    level: config.log.level,
    format: config.log.format,
    write: (line) => void stderr.write(line),
  });
  if (flags.print) await print(flags, { config, terminal, log });
  else await tell(flags, { config, terminal, log });
}

interface Surroundings {
  readonly config: Config;
  readonly terminal: Terminal;
  readonly log: Logger;
}

async function print(
  { once, json }: Flags,
  { config, terminal, log }: Surroundings,
): Promise<void> {
  // Only who needs it pays for its packages.
  const { openCaptor } = await import("../runtime/captor.ts");
  const publish: FactSink["publish"] = async (facts) => {
    for (const fact of facts) {
      await writeLine(terminal.stdout, json ? toJson(factJson(fact)) : lineOf(fact));
    }
  };
  const { captor, close } = openCaptor(config, { sink: { publish }, states: null, log });
  try {
    if (once) await captor.listOnce(terminal.signal);
    else {
      captor.start();
      await untilAborted(terminal.signal);
    }
  } finally {
    await close();
  }
}

async function tell(flags: Flags, { config, terminal, log }: Surroundings): Promise<void> {
  const { openCaptor } = await import("../runtime/captor.ts");
  const { sink, close: closeFacts } = await openFacts(flags, { terminal, log });
  const client = clientOf(flags);
  const opened = openCaptor(config, { sink, states: client, log });
  try {
    if (flags.once) {
      await opened.captor.listOnce(terminal.signal);
      return;
    }
    const server = opened.statusServer(sink);
    const url = await server.start();
    opened.captor.start();
    await writeLine(terminal.stdout, `agent_runtime captor at ${url}`);
    await untilAborted(terminal.signal);
    await server.stop();
  } finally {
    await opened.close();
    await closeFacts({ drainMs: flags.drainMs });
    await client?.close();
  }
}

/** What the service believes is asked for; who tells RocketMQ may have none. */
function clientOf({ to, url, token, namespace }: Flags): HttpStateClient | null {
  if (to !== "service") return null;
  return HttpStateClient.open({
    url,
    ...given({ token: token || undefined, namespace: namespace || undefined }),
  });
}

function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
}

/** For people: when, which pod, which container, what. */
function lineOf({ at, namespace, podName, container, ...rest }: LifecycleFact): string {
  const { fact, exitCode, reason, incarnation } = rest;
  const how = exitCode === undefined ? "" : ` ${exitCode}`;
  const cells = [
    at,
    pad(printable(`${namespace}/${podName}`), 28),
    pad(printable(container ?? "(sandbox)"), 12),
    pad(`${fact}${how}${reason === undefined ? "" : ` ${printable(reason)}`}`, 14),
    (incarnation ?? "").slice(0, 12),
  ];
  return cells.join("  ").trimEnd();
}
