import { execFileSync, spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { chownSync, mkdtempSync, readdirSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findParts } from "../../scripts/parts.mjs";
import { Guard } from "../support/guard.ts";
import { serverOwner } from "../support/servers.ts";
import { until } from "../support/until.ts";

const SETTINGS = {
  fsync: "on",
  synchronous_commit: "on",
  listen_addresses: "",
  shared_buffers: "32MB",
  restart_after_crash: "on",
};

/** What is missing for it on this machine; undefined: nothing. */
export function missingPostgres(): string | undefined {
  return findParts().postgres.missing;
}

/** A PostgreSQL of one test, to be killed, frozen and started again. On a unix socket only. */
export class PrivatePostgres {
  readonly #bin: string;
  readonly #folder: string;
  readonly #settings: Readonly<Record<string, string>>;
  readonly #guard: Guard;
  readonly #owner = serverOwner();
  #server: ChildProcess | undefined;

  private constructor(bin: string, folder: string, settings: Readonly<Record<string, string>>) {
    this.#bin = bin;
    this.#folder = folder;
    this.#settings = { ...SETTINGS, unix_socket_directories: folder, ...settings };
    this.#guard = new Guard(folder);
  }

  /** A running server with an empty database. */
  static async open(settings: Readonly<Record<string, string>> = {}): Promise<PrivatePostgres> {
    const { postgres } = findParts();
    if (postgres.missing !== undefined) throw new Error(`not here: ${postgres.missing}`);
    const folder = mkdtempSync(join(tmpdir(), "art-fault-"));
    const server = new PrivatePostgres(postgres.bin, folder, settings);
    const { uid, gid } = server.#owner;
    if (uid !== undefined && gid !== undefined) chownSync(server.#folder, uid, gid);
    const initdb = ["-D", server.#data, "-U", "postgres", "-E", "UTF8", "--no-locale", "--no-sync"];
    execFileSync(join(postgres.bin, "initdb"), [...initdb, "--auth=trust"], {
      ...server.#owner,
      stdio: "pipe",
    });
    await server.start();
    return server;
  }

  /** For pg. */
  get url(): string {
    return `postgres://postgres@localhost/postgres?host=${encodeURIComponent(this.#folder)}&port=5432`;
  }

  /** The path of its socket, for a proxy. */
  get socket(): string {
    return join(this.#folder, ".s.PGSQL.5432");
  }

  /** Starts it, after a kill as well; resolves when it accepts connections. */
  async start(): Promise<void> {
    const pairs = Object.entries(this.#settings).map(([name, value]) => `${name}=${value}`);
    const args = pairs.flatMap((pair) => ["-c", pair]);
    const server = spawn(join(this.#bin, "postgres"), ["-D", this.#data, ...args], {
      ...this.#owner,
      detached: true,
      stdio: ["ignore", "ignore", "pipe"],
    });
    this.#server = server;
    this.#guard.watch(server);
    let said = "";
    server.stderr.on("data", (chunk: Buffer) => (said = (said + chunk.toString()).slice(-10_000)));
    const isOver = (): boolean => server.exitCode !== null || server.signalCode !== null;
    const isReady = (): boolean => said.includes("ready to accept connections");
    await until(() => isReady() || isOver(), { what: "the start of postgres" });
    if (isOver()) throw new Error(`postgres did not start:\n${said}`);
  }

  /**
   * Ends the postmaster by a signal once `moment` has come, not later; SIGKILL takes all of its
   * processes in the same instant, as the end of a machine does. Resolves when all are gone.
   */
  async end(signal: NodeJS.Signals, moment?: () => Promise<void>): Promise<void> {
    const server = this.#server!;
    const children = this.children();
    const gone = once(server, "exit");
    await moment?.();
    server.kill(signal);
    if (signal === "SIGKILL") for (const pid of children) signalTo(pid, signal);
    await gone;
    await until(() => children.every((pid) => !isAlive(pid)), { what: "the end of its processes" });
  }

  /** The processes of the postmaster; with `only`, those whose title has it. */
  children(only = ""): number[] {
    const parent = String(this.#server!.pid);
    return readdirSync("/proc")
      .filter((name) => /^\d+$/.test(name))
      .filter((pid) => {
        const stat = readProc(pid, "stat");
        // The program's name stands in parentheses, and may hold anything.
        const [, ppid] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
        return ppid === parent && readProc(pid, "cmdline").includes(only);
      })
      .map(Number);
  }

  /** Stops it and removes its data. */
  async close(): Promise<void> {
    for (const pid of this.children()) signalTo(pid, "SIGCONT");
    const server = this.#server!;
    if (server.exitCode === null && server.signalCode === null) await this.end("SIGQUIT");
    await this.#guard.release();
  }

  get #data(): string {
    return join(this.#folder, "data");
  }
}

/** Sends a signal; a process that has ended meanwhile needs none. */
export function signalTo(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

function isAlive(pid: number): boolean {
  const stat = readProc(String(pid), "stat");
  return stat !== "" && stat.slice(stat.lastIndexOf(")") + 2, stat.lastIndexOf(")") + 3) !== "Z";
}

function readProc(pid: string, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, "utf8");
  } catch {
    return ""; // it ended while we looked
  }
}
