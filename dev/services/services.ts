import { mkdir, mkdtemp, readdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import type { Missing, Parts } from "../../scripts/parts.d.mts";
import type { ServerAddress } from "./address.ts";
import { Guard } from "./guard.ts";
import { startPgbouncer } from "./pgbouncer.ts";
import { copyCluster, createCluster, following, startOnTcp } from "./postgres.ts";
import type { Listening } from "./postgres.ts";
import { choosePostgres, findParts, openTools } from "./tools.ts";
import type { Tools } from "./tools.ts";

/** `pgbouncer` stands before `postgres`, `replica` follows it, `rollback` knows neither. */
export const SERVERS = ["postgres", "pgbouncer", "replica", "rollback"] as const;
export type ServerName = (typeof SERVERS)[number];

/** Where each server listens, or why it is not there. */
export type Services = Readonly<Record<ServerName, ServerAddress | Missing>>;

export interface ServicesOptions {
  /** Where data lives and stays, made where it is missing; unsaid: a temporary folder that goes. */
  readonly folder?: string;
  /** Unsaid: all. What stands on `postgres` brings it. */
  readonly only?: readonly ServerName[];
  /** Unsaid: what this machine has. */
  readonly parts?: Parts;
  /** Told of a server that ended though nobody stopped it. */
  readonly onEnded?: (name: ServerName, how: string) => void;
}

export interface RunningServices {
  readonly services: Services;
  readonly folder: string;
  /** Ends the servers, in order where their data stays, and removes a temporary folder. */
  stop(): Promise<void>;
}

const LEFT_OUT: Missing = { missing: "not asked for" };

/**
 * Starts the servers of the whole architecture, each durable and on a free port of 127.0.0.1.
 *
 * They end with this process, however it ends. Where one does not start, all end, and the error has
 * its last words.
 */
export async function startServices(options: ServicesOptions = {}): Promise<RunningServices> {
  const run = new Run(await openFolder(options.folder), options);
  try {
    const services = await run.start();
    return { services, folder: run.folder, stop: () => run.stop() };
  } catch (error) {
    await run.stop();
    throw error;
  }
}

/** The servers of one run. */
class Run {
  readonly folder: string;
  readonly #options: ServicesOptions;
  readonly #guard: Guard;
  readonly #running = new Map<ServerName, Listening>();
  #isStopping = false;

  constructor(folder: string, options: ServicesOptions) {
    this.folder = folder;
    this.#options = options;
    this.#guard = new Guard(options.folder === undefined ? folder : undefined);
  }

  async start(): Promise<Services> {
    const { parts = findParts() } = this.#options;
    const { pgbouncer } = parts;
    const postgres = choosePostgres(parts);
    if ("missing" in postgres) return forEachServer(() => postgres);
    const tools = await openTools(postgres.choice, this.folder, this.#guard);
    await allOf([this.#startMain(tools, pgbouncer), this.#startRollback(tools)]);
    return forEachServer((name) => {
      const isMissing = name === "pgbouncer" && pgbouncer.missing !== undefined;
      return this.#running.get(name)?.address ?? (isMissing ? pgbouncer : LEFT_OUT);
    });
  }

  async stop(): Promise<void> {
    this.#isStopping = true;
    if (this.#options.folder !== undefined) await this.#shutDown();
    await this.#guard.release();
  }

  async #startMain(tools: Tools, pgbouncer: Parts["pgbouncer"]): Promise<void> {
    if (!this.#wants("postgres", "pgbouncer", "replica")) return;
    const folder = this.#folderOf("postgres");
    await createCluster(tools, folder);
    if (this.#wants("replica")) await copyCluster(tools, folder, this.#folderOf("replica"));
    const { address } = await this.#keep("postgres", startOnTcp(tools, folder));
    await allOf([
      this.#startReplica(tools, address),
      this.#startPgbouncer(tools, pgbouncer, address),
    ]);
  }

  async #startReplica(tools: Tools, main: ServerAddress): Promise<void> {
    if (!this.#wants("replica")) return;
    const { port, password, socketFolder } = main;
    const options = { password, settings: following(socketFolder, port) };
    await this.#keep("replica", startOnTcp(tools, this.#folderOf("replica"), options));
  }

  async #startPgbouncer(
    tools: Tools,
    binary: Parts["pgbouncer"],
    behind: ServerAddress,
  ): Promise<void> {
    if (!this.#wants("pgbouncer") || binary.missing !== undefined) return;
    const place = { folder: this.#folderOf("pgbouncer"), behind };
    await this.#keep("pgbouncer", startPgbouncer(tools, binary, place));
  }

  async #startRollback(tools: Tools): Promise<void> {
    if (!this.#wants("rollback")) return;
    const folder = this.#folderOf("rollback");
    await createCluster(tools, folder);
    await this.#keep("rollback", startOnTcp(tools, folder));
  }

  async #keep(name: ServerName, starting: Promise<Listening>): Promise<Listening> {
    const listening = await starting;
    this.#running.set(name, listening);
    void listening.program.ended.then((how) => {
      if (!this.#isStopping) this.#options.onEnded?.(name, how);
    });
    return listening;
  }

  /** PostgreSQL's fast shutdown, so that the next start has nothing to recover. */
  async #shutDown(): Promise<void> {
    const stops = [...this.#running].map(([name, { program }]) =>
      program.stop(name === "pgbouncer" ? "SIGQUIT" : "SIGINT"),
    );
    await Promise.all(stops);
  }

  #wants(...names: readonly ServerName[]): boolean {
    return names.some((name) => (this.#options.only ?? SERVERS).includes(name));
  }

  #folderOf(name: ServerName): string {
    return join(this.folder, name);
  }
}

/** A folder that is empty or of an earlier run: what is in it may have to change its owner. */
async function openFolder(wanted: string | undefined): Promise<string> {
  if (wanted === undefined) return await mkdtemp(join(tmpdir(), "art-services-"));
  const folder = resolve(wanted);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const own: readonly string[] = [...SERVERS, "lib", "rocketmq", "redis"];
  const stranger = (await readdir(folder)).find((name) => !own.includes(name));
  if (stranger === undefined) return folder;
  throw new Error(`${folder} holds other things (${stranger}): name an empty or a new folder`);
}

function forEachServer(find: (name: ServerName) => ServerAddress | Missing): Services {
  return Object.fromEntries(SERVERS.map((name) => [name, find(name)])) as Services;
}

/** Waits for all, and then for the first failure: nothing goes on behind a caller who was told of one. */
async function allOf(works: readonly Promise<void>[]): Promise<void> {
  await Promise.allSettled(works);
  await Promise.all(works);
}
