import { fork } from "node:child_process";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { Program } from "../../dev/services/program.ts";

/** A module of bench/children/ in a process of its own, which answers messages. */
export function forkChild(name: string, options: { readonly execArgv?: string[] } = {}): Program {
  const file = join(dirname(fileURLToPath(import.meta.url)), "..", "children", `${name}.js`);
  const { execArgv = [] } = options;
  return new Program(fork(file, { stdio: ["ignore", "pipe", "pipe", "ipc"], execArgv }));
}
