import { Option } from "commander";
import type { Command } from "commander";
import { HttpStateClient } from "../client/http-client.ts";
import { loadConfig } from "../config/load.ts";
import type { Logger } from "../service/log-port.ts";
import { Spool } from "../spool/spool.ts";
import { SpooledSink } from "../spool/spooled-sink.ts";
import type { FactSink } from "../state/fact-sink.ts";
import { wholeNumber } from "./arguments.ts";
import { given } from "./given.ts";
import { CLIENT_VARIABLES, withServiceOptions } from "./service-options.ts";
import type { ServiceOptions } from "./service-options.ts";
import type { Terminal } from "./terminal.ts";

/** Where facts go, and where they wait until they can. */
export interface FactOptions extends ServiceOptions {
  readonly to: "service" | "rocketmq";
  readonly spool: string;
  readonly config?: string;
}

/** How long the service may take to take facts. */
const TIMEOUT_MS = 10_000;

/** The command with the options that say so. */
export function withFactOptions(command: Command): Command {
  withServiceOptions(command).optionsGroup("Where facts go:");
  return command
    .addOption(
      new Option(
        "--to <what>",
        "send facts to the service, or directly to RocketMQ (settings rocketmq.*)",
      )
        .choices(["service", "rocketmq"])
        .env("AGENT_RUNTIME_FACTS_TO")
        .default("service"),
    )
    .addOption(
      new Option(
        "--spool <folder>",
        "where facts wait until they are taken; one process per folder",
      )
        .env("AGENT_RUNTIME_SPOOL")
        .default("agent_runtime-spool"),
    )
    .option(
      "--config <file>",
      "for --to rocketmq: configuration file (default: agent_runtime.yaml, if there is one)",
    );
}

/** `--drain-ms`, of what runs until it is stopped. */
export function drainOption(): Option {
  return new Option("--drain-ms <n>", "how long a stop waits for facts to be taken")
    .argParser(wholeNumber(0, 600_000))
    .default(5_000);
}

/** A sink that keeps facts on disk until they were taken. */
export async function openFacts(
  options: FactOptions,
  { terminal, log }: { readonly terminal: Terminal; readonly log: Logger },
): Promise<{
  readonly sink: SpooledSink;
  readonly close: (drain: { readonly drainMs: number }) => Promise<void>;
}> {
  const spool = await Spool.open({ folder: options.spool, log });
  const to =
    options.to === "service" ? toService(options) : await toRocketmq(options, terminal, log);
  const sink = new SpooledSink({ spool, to: to.sink, log });
  return {
    sink,
    close: async (drain) => {
      await sink.close(drain);
      await to.close();
    },
  };
}

interface Destination {
  readonly sink: FactSink;
  readonly close: () => Promise<void>;
}

function toService({ url, token, namespace }: FactOptions): Destination {
  const known = given({ token: token || undefined, namespace: namespace || undefined });
  const client = HttpStateClient.open({ url, ...known });
  const publish: FactSink["publish"] = (facts, signal) =>
    client.lifecycle.publish(facts, {
      timeoutMs: TIMEOUT_MS,
      ...given({ signal, namespace: known.namespace }),
    });
  return { sink: { publish }, close: () => client.close() };
}

async function toRocketmq(
  { namespace, config: file }: FactOptions,
  { env, cwd }: Terminal,
  log: Logger,
): Promise<Destination> {
  const otherVariables = [...CLIENT_VARIABLES, ...FACT_VARIABLES];
  const config = loadConfig({ env, cwd, otherVariables, ...given({ file }) });
  // Only who needs it pays for its packages.
  const { openRocketmqFacts } = await import("../runtime/fact-sink.ts");
  return openRocketmqFacts(config, { namespace: namespace || "default", log });
}

/** Variables of these options, and of the hook. */
export const FACT_VARIABLES = [
  "AGENT_RUNTIME_FACTS_TO",
  "AGENT_RUNTIME_SPOOL",
  "AGENT_RUNTIME_HOOK_LISTEN",
] as const;
