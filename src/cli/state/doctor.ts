import type { Command } from "commander";
import { Option } from "commander";
import { serviceInfo } from "../../client/service-info.ts";
import { loadConfig } from "../../config/load.ts";
import type { Config } from "../../config/options.ts";
import type { Verdict } from "../../doctor/check.ts";
import type { ServiceAnswer } from "../../runtime/doctor.ts";
import { AgentRuntimeError } from "../../state/errors.ts";
import type { JsonObject } from "../../state/json.ts";
import { CommandFailed } from "../failure.ts";
import { given } from "../given.ts";
import { withExamples } from "../help.ts";
import { toJson } from "../print/json.ts";
import { formatTable } from "../print/table.ts";
import type { Column } from "../print/table.ts";
import { printable } from "../print/text.ts";
import { CLIENT_VARIABLES } from "../service-options.ts";
import { writeLine } from "../terminal.ts";
import type { Terminal } from "../terminal.ts";

interface DoctorFlags {
  readonly config?: string;
  readonly dataDir?: string;
  readonly url?: string;
  readonly token?: string;
  readonly json?: true;
}

const WORDS = { ok: "ok", advice: "could be better", fault: "FAULT" } as const;

const COLUMNS: readonly Column<Verdict>[] = [
  { title: "PART", cell: ({ part }) => part },
  { title: "CHECK", cell: ({ check }) => check },
  { title: "RESULT", cell: ({ level }) => WORDS[level] },
];

/** Adds `doctor`: a look at every part from outside. */
export function addDoctor(group: Command, terminal: Terminal): void {
  const command = group
    .command("doctor")
    .description("check every part from outside, and say what to do about each finding")
    .option(
      "--config <file>",
      "the service's configuration file (default: agent_runtime.yaml, if there is one)",
    )
    .option("--data-dir <dir>", "the embedded home, if the configuration names no database")
    .addOption(
      new Option("--url <url>", "a running service, to include its own view of its parts").env(
        "AGENT_RUNTIME_URL",
      ),
    )
    .addOption(
      new Option("--token <token>", "bearer token for that service").env("AGENT_RUNTIME_TOKEN"),
    )
    .option("--json", "print JSON for programs")
    .action((flags: DoctorFlags) => examine(flags, terminal));
  withExamples(command, [
    ["agent_runtime state doctor", "check what the configuration names, or the embedded home"],
    [
      "agent_runtime state doctor --url http://127.0.0.1:8080",
      "and how a running service sees its parts",
    ],
    ["agent_runtime state doctor --json", "for programs; exit code 1 if there is a fault"],
  ]);
}

async function examine(flags: DoctorFlags, terminal: Terminal): Promise<void> {
  const { cwd, env, stdout } = terminal;
  const { config: file, dataDir } = flags;
  const config = loadConfig({
    env,
    cwd,
    otherVariables: CLIENT_VARIABLES,
    ...given({ file }),
    ...(dataDir === undefined ? {} : { flags: { "data-dir": dataDir } }),
  });
  const { examineParts, examineService } = await import("../../runtime/doctor.ts");
  const parts = await examineParts(config);
  const url = flags.url || (parts.length === 0 ? urlOf(config) : undefined);
  const service = url === undefined ? [] : examineService(await answerOf(url, flags, terminal));
  const verdicts = [...parts, ...service];
  const findings = verdicts.filter(({ level }) => level !== "ok");
  const faults = findings.filter(({ level }) => level === "fault").length;
  await writeLine(
    stdout,
    flags.json ? toJson({ faults, verdicts }) : tell(verdicts, findings, stdout.columns),
  );
  if (faults > 0) {
    throw new CommandFailed(`${faults} of ${verdicts.length} checks found a fault`, {
      next: "do what is listed for each fault above, then run the doctor again",
    });
  }
}

function tell(verdicts: readonly Verdict[], findings: readonly Verdict[], width?: number): string {
  const details = findings.flatMap(({ part, check, level, found, remedy }) => [
    "",
    printable(`${part}, ${check}: ${level === "fault" ? "FAULT" : "could be better"}`),
    printable(`  found: ${found}`),
    printable(`  do:    ${remedy}`),
  ]);
  const end = findings.length === 0 ? ["", `all ${verdicts.length} checks passed`] : details;
  return [...formatTable(COLUMNS, verdicts, width), ...end].join("\n");
}

/** Where the service of a configuration is from here. */
function urlOf({ listen: { host, port } }: Config): string {
  const isAny = host === "0.0.0.0" || host === "::";
  const name = isAny ? "127.0.0.1" : host;
  return `http://${name.includes(":") ? `[${name}]` : name}:${port}`;
}

/** What the service says of its parts, or why it says nothing. */
async function answerOf(
  url: string,
  { token }: DoctorFlags,
  { signal }: Terminal,
): Promise<ServiceAnswer> {
  try {
    const { parts } = await serviceInfo(
      { url, ...given({ token: token || undefined }) },
      { signal },
    );
    return { url, parts: parts as JsonObject };
  } catch (error) {
    if (!(error instanceof AgentRuntimeError)) throw error;
    return { url, trouble: error.message };
  }
}
