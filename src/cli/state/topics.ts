import type { Command } from "commander";
import { loadConfig } from "../../config/load.ts";
import { given } from "../given.ts";
import { withExamples } from "../help.ts";
import { toJson } from "../print/json.ts";
import { CLIENT_VARIABLES } from "../service-options.ts";
import { writeLine } from "../terminal.ts";
import type { Terminal } from "../terminal.ts";

interface TopicsOptions {
  readonly config?: string;
  readonly group?: readonly string[];
  readonly json?: true;
}

/** Adds `topics create`: what the service needs of a RocketMQ. */
export function addTopics(group: Command, terminal: Terminal): void {
  const topics = group.command("topics").description("prepare RocketMQ for the service");
  const create = topics
    .command("create")
    .description("create the topics and consumer groups that the configuration names")
    .option("--config <file>", "configuration file (default: agent_runtime.yaml, if there is one)")
    .option("--group <name...>", "also create these groups, for your own consumers")
    .option("--json", "print JSON for programs")
    .action((options: TopicsOptions) => createTopics(options, terminal));
  withExamples(create, [
    [
      "ROCKETMQ_NAMESERVER_ADDRS=localhost:9876 agent_runtime state topics create",
      "before the first start",
    ],
    ["agent_runtime state topics create --group billing", "for your own consumer"],
  ]);
}

async function createTopics(
  { config: file, group = [], json }: TopicsOptions,
  { cwd, env, stdout }: Terminal,
): Promise<void> {
  const config = loadConfig({ env, cwd, otherVariables: CLIENT_VARIABLES, ...given({ file }) });
  const { prepareTopics } = await import("../../runtime/rocketmq.ts");
  const { brokers, made, kept } = await prepareTopics(config, group);
  if (json) return writeLine(stdout, toJson({ brokers, made, kept }));
  for (const name of made) await writeLine(stdout, `created ${name}`);
  for (const name of kept) await writeLine(stdout, `${name} exists already`);
}
