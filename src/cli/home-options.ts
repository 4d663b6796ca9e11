import type { Command } from "commander";
import { loadConfig } from "../config/load.ts";
import type { Config } from "../config/options.ts";
import { given } from "./given.ts";
import { formatBytes } from "./print/numbers.ts";
import { Progress } from "./print/progress.ts";
import { CLIENT_VARIABLES } from "./service-options.ts";
import type { Terminal } from "./terminal.ts";

/** Which embedded home a command works on. */
export interface HomeFlags {
  readonly dataDir?: string;
  readonly config?: string;
  readonly json?: true;
}

/** What long work on a home is given: when to stop, and whom to tell how far it is. */
export interface HomeCall {
  readonly signal: AbortSignal;
  readonly onProgress: (what: string, done: number, total: number) => void;
}

/** The command with the options that say which home. */
export function withHomeOptions(command: Command): Command {
  return command
    .option("--data-dir <folder>", "the embedded home (default: the one in the configuration)")
    .option("--config <file>", "configuration file (default: agent_runtime.yaml, if there is one)")
    .option("--json", "print JSON for programs");
}

/** The settings that a service started with these flags would have. */
export function configOf({ dataDir, config: file }: HomeFlags, terminal: Terminal): Config {
  return loadConfig({
    flags: given({ dataDir }),
    env: terminal.env,
    cwd: terminal.cwd,
    otherVariables: CLIENT_VARIABLES,
    ...given({ file }),
  });
}

/**
 * Runs long work with a bar on the terminal.
 *
 * @param format how its amounts are written; unsaid: they are bytes.
 */
export async function withProgress<Result>(
  terminal: Terminal,
  work: (call: HomeCall) => Promise<Result>,
  format: (amount: number) => string = formatBytes,
): Promise<Result> {
  let progress: Progress | undefined;
  let current = "";
  const onProgress: HomeCall["onProgress"] = (what, done, total) => {
    if (what !== current) {
      progress?.end();
      progress = undefined;
    }
    current = what;
    progress ??= new Progress({ screen: terminal.stderr, total });
    progress.update(done, `${what}: ${format(done)} of ${format(total)}`);
  };
  try {
    return await work({ signal: terminal.signal, onProgress });
  } finally {
    progress?.end();
  }
}
