import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { Guard } from "../../dev/services/guard.ts";
import {
  copyCluster,
  createCluster,
  following,
  startPostgres,
} from "../../dev/services/postgres.ts";
import type { Settings } from "../../dev/services/postgres.ts";
import type { Program } from "../../dev/services/program.ts";
import { choosePostgres, findParts, openTools } from "../../dev/services/tools.ts";
import type { Tools } from "../../dev/services/tools.ts";
import type { Sql } from "../support/sql.ts";
import { until } from "../support/until.ts";

const PORT = 5432; // only names the socket
const SETTINGS = {
  listen_addresses: "",
  port: PORT,
  shared_buffers: "32MB",
  restart_after_crash: "on",
};

/** What is missing for it on this machine; undefined: nothing. */
export function missingPostgres(): string | undefined {
  const found = choosePostgres(findParts());
  return "missing" in found ? found.missing : undefined;
}

/** A PostgreSQL of one test, to be killed, frozen and started again. On a unix socket only. */
export class PrivatePostgres implements Sql {
  readonly #tools: Tools;
  readonly #folder: string;
  readonly #settings: Settings;
  #server: Program | undefined;

  private constructor(tools: Tools, folder: string, settings: Settings) {
    this.#tools = tools;
    this.#folder = folder;
    this.#settings = { ...SETTINGS, ...settings };
  }

  /** A running server with an empty database; `parent` is the folder that its files are in. */
  static async open(settings: Settings = {}, parent?: string): Promise<PrivatePostgres> {
    const server = await PrivatePostgres.create(settings, parent);
    try {
      await server.start();
    } catch (error) {
      await server.close();
      throw error;
    }
    return server;
  }

  /** The same, not yet started. */
  static async create(settings: Settings = {}, parent?: string): Promise<PrivatePostgres> {
    return await PrivatePostgres.#make(settings, createCluster, parent);
  }

  static async #make(
    settings: Settings,
    fill: (tools: Tools, folder: string) => Promise<void>,
    parent = tmpdir(),
  ): Promise<PrivatePostgres> {
    const found = choosePostgres(findParts());
    if ("missing" in found) throw new Error(`not here: ${found.missing}`);
    const folder = mkdtempSync(join(parent, "art-fault-"));
    const guard = new Guard(folder);
    try {
      const tools = await openTools(found.choice, folder, guard);
      await fill(tools, folder);
      return new PrivatePostgres(tools, folder, settings);
    } catch (error) {
      await guard.release();
      throw error;
    }
  }

  /** A replica of this server, which must not be running; nor does the replica yet. */
  async copy(): Promise<PrivatePostgres> {
    return await PrivatePostgres.#make(following(this.#folder, PORT), (tools, folder) =>
      copyCluster(tools, this.#folder, folder),
    );
  }

  /** For pg. */
  get url(): string {
    return `postgres://postgres@localhost/postgres?host=${encodeURIComponent(this.#folder)}&port=${PORT}`;
  }

  /** The path of its socket, for a proxy. */
  get socket(): string {
    return join(this.#folder, `.s.PGSQL.${PORT}`);
  }

  /** Rows of a statement, on a connection of its own: the last one may not have survived. */
  async sql<Row extends pg.QueryResultRow = Record<string, unknown>>(
    statement: string,
    values: readonly unknown[] = [],
  ): Promise<Row[]> {
    const client = new pg.Client({ connectionString: this.url });
    client.on("error", () => undefined);
    await client.connect();
    try {
      return (await client.query<Row>(statement, [...values])).rows;
    } finally {
      await client.end();
    }
  }

  /** Starts it, after a kill as well; resolves when it accepts connections. */
  async start(): Promise<void> {
    this.#server = await startPostgres(this.#tools, this.#folder, this.#settings);
  }

  /**
   * Ends the postmaster by a signal once `moment` has come, not later; SIGKILL takes all of its
   * processes in the same instant, as the end of a machine does. Resolves when all are gone.
   */
  async end(signal: NodeJS.Signals, moment?: () => Promise<void>): Promise<void> {
    const { child } = this.#server!;
    const children = this.children();
    const gone = once(child, "exit");
    await moment?.();
    child.kill(signal);
    if (signal === "SIGKILL") for (const pid of children) signalTo(pid, signal);
    await gone;
    await until(() => children.every((pid) => !isAlive(pid)), { what: "the end of its processes" });
  }

  /** Whether its postmaster lives. */
  get isRunning(): boolean {
    const { exitCode, signalCode } = this.#server!.child;
    return exitCode === null && signalCode === null;
  }

  /** Stops all of its processes where they are, as a machine that stands still does. */
  freeze(): void {
    for (const pid of [this.#server!.pid, ...this.children()]) signalTo(pid, "SIGSTOP");
  }

  /** Lets them go on. */
  thaw(): void {
    for (const pid of [this.#server!.pid, ...this.children()]) signalTo(pid, "SIGCONT");
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
    const { exitCode = 0, signalCode } = this.#server?.child ?? {};
    if (exitCode === null && signalCode === null) {
      this.thaw();
      await this.end("SIGQUIT");
    }
    await this.#tools.guard.release();
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
