import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Program } from "../../dev/services/program.ts";
import { packageRoot } from "../../src/service/package-root.ts";
import type { Bench } from "../bench.ts";

/** The service, started as a user starts it. */
export interface Service {
  readonly program: Program;
  readonly url: string;
  /** From the command to the first request that it answers as ready. */
  readonly readyMs: number;
}

const POLL_MS = 2;

/** Starts `./agent_runtime state` with these flags; it must have been built. */
export async function startService(
  bench: Bench,
  options: { readonly args?: readonly string[]; readonly env?: Readonly<Record<string, string>> },
): Promise<Service> {
  const from = performance.now();
  const program = Program.start(launcher(), {
    args: ["state", "--listen", "127.0.0.1:0", "--log-level", "warn", ...(options.args ?? [])],
    cwd: bench.workshop.folder,
    ...(options.env === undefined ? {} : { env: options.env }),
  });
  bench.workshop.keep(program);
  const [url] = await program.says(/http:\/\/[^\s/]+:\d+/);
  while (!(await fetch(`${url}/readyz`)).ok) await sleep(POLL_MS);
  return { program, url, readyMs: performance.now() - from };
}

/** Starts `./agent_runtime hook` with these flags; it must have been built. */
export async function startHook(
  bench: Bench,
  options: { readonly args: readonly string[]; readonly env: Readonly<Record<string, string>> },
): Promise<Pick<Service, "program" | "url">> {
  const program = Program.start(launcher(), {
    args: ["hook", "--listen", "127.0.0.1:0", ...options.args],
    cwd: bench.workshop.folder,
    env: { POD_UID: "pod", POD_NAME: "pod", POD_NAMESPACE: "bench", ...options.env },
  });
  bench.workshop.keep(program);
  const [url] = await program.says(/http:\/\/[^\s/]+:\d+/);
  return { program, url };
}

/** Runs the launcher to its end once, so that it has installed and built what it needs. */
export async function ensureBuilt(): Promise<void> {
  await Program.start(launcher(), { args: ["state", "--help"] }).output();
}

/** The program as a user starts it from a checkout. */
export function launcher(): string {
  return join(packageRoot(), "agent_runtime");
}
