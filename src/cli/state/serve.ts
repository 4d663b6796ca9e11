import { existsSync } from "node:fs";
import { isAbsolute, join, relative } from "node:path";
import type { Command } from "commander";
import { describeConfig, formatDescription } from "../../config/describe.ts";
import { loadConfigWithOrigins } from "../../config/load.ts";
import type { LoadedConfig } from "../../config/load.ts";
import { OPTION_KEYS, optionOf } from "../../config/options.ts";
import type { Config } from "../../config/options.ts";
import type { Runtime } from "../../runtime.ts";
import { createLogger } from "../../service/log.ts";
import type { Logger } from "../../service/log-port.ts";
import { packageRoot } from "../../service/package-root.ts";
import { configFlag } from "../config-flag.ts";
import { CommandFailed } from "../failure.ts";
import { given } from "../given.ts";
import { withExamples } from "../help.ts";
import { toPrettyJson } from "../print/json.ts";
import { printable } from "../print/text.ts";
import { CLIENT_VARIABLES } from "../service-options.ts";
import { write, writeLine } from "../terminal.ts";
import type { Terminal } from "../terminal.ts";

interface ServeFlags {
  readonly config?: string;
  readonly printConfig?: true;
  readonly json?: true;
  /** The flags of the configuration, by their names. */
  readonly [flag: string]: unknown;
}

/** What a newcomer replays first: short, with recorded times. */
const FIRST_EXAMPLE = "swe-agent-marshmallow-1867.traj.json";

/** Adds `serve`, the default: the service, until a signal stops it. */
export function addServe(group: Command, terminal: Terminal): void {
  const command = group
    .command("serve")
    .description("run the service until a signal stops it (the default)")
    .option("--config <file>", "configuration file (default: agent_runtime.yaml, if there is one)")
    .option("--print-config", "show every setting and where it comes from, then exit")
    .option("--json", "with --print-config: as JSON");
  addConfigFlags(command);
  command.action((flags: ServeFlags) => serve(flags, terminal));
  withExamples(command, [
    ["agent_runtime state", "on embedded PostgreSQL in .agent_runtime/, nothing to install"],
    [
      "agent_runtime state --listen 127.0.0.1:0 --data-dir /var/lib/agents",
      "another address and folder",
    ],
    ["SUPABASE_DB_URL=postgres://... agent_runtime state", "on your own PostgreSQL or Supabase"],
    ["agent_runtime state --config prod.yaml --print-config", "the settings that would apply"],
  ]);
}

function addConfigFlags(command: Command): void {
  const own = OPTION_KEYS.filter((key) => !/^(captor|webhook)\./.test(key));
  for (const key of own.filter((each) => optionOf(each).flagless !== true)) {
    const [section, name] = key.split(".");
    if (name === undefined) command.optionsGroup("Settings:");
    else command.optionsGroup(`Settings of ${section}:`);
    command.addOption(configFlag(key));
  }
}

async function serve(flags: ServeFlags, terminal: Terminal): Promise<void> {
  const { config: file, printConfig, json, ...settings } = flags;
  const loaded = loadConfigWithOrigins({
    flags: settings,
    env: terminal.env,
    cwd: terminal.cwd,
    otherVariables: CLIENT_VARIABLES,
    ...given({ file }),
  });
  if (printConfig) {
    const described = describeConfig(loaded.config, loaded.origins);
    const text = json ? `${toPrettyJson(described)}\n` : formatDescription(described);
    await write(terminal.stdout, text);
    return;
  }
  await run(loaded, terminal);
}

async function run(loaded: LoadedConfig, terminal: Terminal): Promise<void> {
  const { config, warnings } = loaded;
  const log = logFor(loaded, terminal);
  for (const warning of warnings) log.warn({}, warning);
  const isFirst = config.supabase.main === "" && !existsSync(config.dataDir);
  // Loaded here alone: a `get` has no use for a database driver and an HTTP server.
  const { startRuntime } = await import("../../runtime.ts");
  const runtime = await startRuntime(config, { log });
  await writeLine(terminal.stdout, readyLine(runtime, terminal));
  if (isFirst && terminal.stderr.isTTY === true) {
    await writeLine(terminal.stderr, firstRunHint(runtime.url, config, terminal));
  }
  await untilStopped(runtime, terminal.signal);
}

/** Stops gracefully at the first signal; fails where the service ends by itself. */
async function untilStopped(runtime: Runtime, signal: AbortSignal): Promise<void> {
  const asked = new Promise<true>((resolve) => {
    if (signal.aborted) resolve(true);
    signal.addEventListener("abort", () => resolve(true), { once: true });
  });
  const isAsked = await Promise.race([asked, runtime.stopped.then(() => signal.aborted)]);
  await runtime.stop();
  if (!isAsked) throw new CommandFailed("the service stopped by itself; see its log");
}

/** People at a terminal get lines to read, unless they chose otherwise. */
function logFor({ config, origins }: LoadedConfig, terminal: Terminal): Logger {
  const isForPeople = origins["log.format"].source === "default" && terminal.stderr.isTTY === true;
  const format = isForPeople ? "pretty" : config.log.format;
  return createLogger({ level: config.log.level, format });
}

/** The one line on standard output: programs that start the service wait for it. */
export function readyLine(
  runtime: Pick<Runtime, "url" | "parts">,
  { cwd }: { readonly cwd: string },
): string {
  const [main, ...others] = runtime.parts;
  const names = runtime.parts.map(({ name }) => name).join(", ");
  // A folder below the working directory is known to its user by its relative name.
  const runsOn = main?.runsOn.replaceAll(`${cwd}/`, "");
  const on = main === undefined ? "" : ` (${runsOn}${others.length === 0 ? "" : `: ${names}`})`;
  return printable(`agent_runtime state is ready at ${runtime.url}${on}`);
}

function firstRunHint(url: string, config: Config, terminal: Terminal): string {
  const { host, port } = config.listen;
  const isDefault = host === "127.0.0.1" && port === 8080;
  const where = isDefault ? "" : ` --url ${url}`;
  const example = shortest(join(packageRoot(), "examples", FIRST_EXAMPLE), terminal.cwd);
  const program = shortest(join(packageRoot(), "agent_runtime"), terminal.cwd);
  const command = program.startsWith("/") ? program : `./${program}`;
  return [
    "In another terminal, watch a recorded run of a real agent come in:",
    `  ${command} state watch${where}`,
    `  ${command} state replay${where} ${example}`,
  ].join("\n");
}

function shortest(path: string, cwd: string): string {
  const fromHere = relative(cwd, path);
  return fromHere.startsWith("..") || isAbsolute(fromHere) ? path : fromHere;
}
