import { readdir, readFile, readlink, realpath } from "node:fs/promises";
import path from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import type { Logger } from "../service/log-port.ts";
import { runCommand } from "./command.ts";
import { refuse } from "./data-directory.ts";
import { errorCode } from "./error-code.ts";

/** SIGINT: fast shutdown. SIGQUIT: at once, recovery at the next start. Then the system ends it. */
const STAGES: readonly { readonly signal: NodeJS.Signals; readonly waitMs: number }[] = [
  { signal: "SIGINT", waitMs: 15_000 },
  { signal: "SIGQUIT", waitMs: 5_000 },
  { signal: "SIGKILL", waitMs: 5_000 },
];
const POLL_MS = 20; // They are nobody's children any more: no event tells of their end.

/**
 * Ends every server process that still runs on a cluster's data, after its service was killed.
 *
 * Only for the holder of the lock of the data directory: nobody else has business there.
 */
export async function endLeftovers(folder: string, log: Logger): Promise<void> {
  const clusterDir = await realpath(folder).catch(() => folder); // It may be a link, or be gone.
  let postmaster = await readPostmasterPid(clusterDir);
  if (postmaster === undefined) return; // It was shut down in order.
  for (const { signal, waitMs } of STAGES) {
    const pids = await serverProcesses(clusterDir, postmaster);
    if (pids.length === 0) return;
    // A postmaster ends its processes itself. Without one they are told one by one; SIGINT would
    // only cancel their statement.
    const whole = pids.includes(postmaster) && signal !== "SIGKILL";
    const targets = whole ? [postmaster] : pids;
    const told = whole || signal === "SIGKILL" ? signal : "SIGQUIT";
    log.warn({ pids: targets, signal: told }, "ending servers that were left behind");
    for (const pid of targets) send(pid, told);
    if (await waitForEnd(clusterDir, postmaster, waitMs)) return;
    postmaster = (await readPostmasterPid(clusterDir)) ?? postmaster;
  }
  throw refuse(
    `processes ${(await serverProcesses(clusterDir, postmaster)).join(", ")} still use ${clusterDir}`,
    "end them, then start again",
  );
}

async function waitForEnd(clusterDir: string, postmaster: number, waitMs: number) {
  for (let waitedMs = 0; waitedMs < waitMs; waitedMs += POLL_MS) {
    if ((await serverProcesses(clusterDir, postmaster)).length === 0) return true;
    await pause(POLL_MS);
  }
  return false;
}

/** The processes that work in the folder: every PostgreSQL process does, from start to end. */
async function serverProcesses(clusterDir: string, postmaster: number): Promise<number[]> {
  if (process.platform !== "linux") return postmasterByCommandLine(clusterDir, postmaster);
  const pids = (await readdir("/proc")).map(Number).filter((pid) => pid > 1);
  const found = await Promise.all(pids.map((pid) => isServerProcess(pid, clusterDir)));
  return pids.filter((_, index) => found[index]);
}

async function isServerProcess(pid: number, clusterDir: string): Promise<boolean> {
  // Unreadable: it has ended, or it is another user's and so not a server of ours.
  const folder = await readlink(`/proc/${pid}/cwd`).catch(() => undefined);
  if (folder !== clusterDir) return false;
  const program = await readlink(`/proc/${pid}/exe`).catch(() => "");
  return /^postgres( \(deleted\))?$/.test(path.basename(program));
}

/** Elsewhere only the postmaster can be known; its processes follow it. */
async function postmasterByCommandLine(clusterDir: string, pid: number): Promise<number[]> {
  const env = { PATH: "/usr/bin:/bin" };
  const args = ["-ww", "-o", "command=", "-p", String(pid)];
  const { stdout } = await runCommand({ file: "ps", args, env }, { timeoutMs: 5_000 });
  return stdout.includes("postgres") && stdout.includes(`-D ${clusterDir} `) ? [pid] : [];
}

async function readPostmasterPid(clusterDir: string): Promise<number | undefined> {
  const text = await readFile(path.join(clusterDir, "postmaster.pid"), "utf8").catch(() => "");
  const pid = Number.parseInt(text, 10);
  return pid > 1 ? pid : undefined;
}

function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if (errorCode(error) !== "ESRCH") throw error;
  }
}
