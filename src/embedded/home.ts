import { mkdir, realpath } from "node:fs/promises";
import path from "node:path";
import type { Logger } from "../service/log-port.ts";
import { AgentRuntimeError } from "../state/errors.ts";
import { findBinaries } from "./binaries.ts";
import {
  checkCluster,
  clusterFolder,
  createCluster,
  DATABASE,
  SUPERUSER,
  writeSettings,
} from "./cluster.ts";
import type { ClusterTools } from "./cluster.ts";
import { MARKER, openDataDirectory, refuse } from "./data-directory.ts";
import type { ServerName } from "./data-directory.ts";
import { chooseIdentity, commandAs, giveToServers } from "./identity.ts";
import { lockDirectory } from "./lock.ts";
import { openRunFolder } from "./run-folder.ts";
import { ServerLog } from "./server-log.ts";
import { fixedSettings } from "./settings.ts";
import { Supervisor } from "./supervisor.ts";
import type { ServerStatus } from "./supervisor.ts";

export interface EmbeddedOptions {
  /** Made where it is missing, readable by its owner alone. On a disk of this machine. */
  readonly dataDir: string;
  /** "npm", or a folder with initdb and postgres, for example /usr/lib/postgresql/17/bin. */
  readonly binaries: "npm" | string;
  readonly log: Logger;
  /** Memory for pages that are in use; default 64. It is resident only once touched. */
  readonly sharedBuffersMiB?: number;
  /** Every connection to that server was cut; it answers again. */
  readonly onServerRestarted?: (name: ServerName) => void;
}

/** Where a server listens: a unix socket, which `pg` takes as its `host`. */
export interface ServerAddress {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly database: string;
}

/** PostgreSQL servers that live and end with this process, and their data directory. */
export interface EmbeddedHome {
  address(name: ServerName): ServerAddress;
  status(): readonly ServerStatus[];
  /** Shuts the servers down, then gives the directory free. Close connections first. Safe twice. */
  close(): Promise<void>;
}

const SERVERS: readonly { readonly name: ServerName; readonly port: number }[] = [
  { name: "main", port: 5432 }, // The number only names the socket; nothing listens on the network.
];
const DEFAULT_SHARED_BUFFERS_MIB = 64;

/**
 * Opens the data directory, making what is missing, and starts its servers; resolves when they
 * accept connections. Call it on the main thread: on Linux the servers end with the calling thread.
 *
 * @throws {AgentRuntimeError} DATA_DIRECTORY: in use, not writable, not ours, of another version, or
 *   damaged, and left as it was; or a server does not start, with its last words. INVALID_CONFIG: no
 *   PostgreSQL that runs here.
 */
export async function openEmbeddedHome(options: EmbeddedOptions): Promise<EmbeddedHome> {
  const undo: (() => Promise<void>)[] = [];
  const close = async (): Promise<void> => {
    for (let step = undo.pop(); step !== undefined; step = undo.pop()) await step();
  };
  try {
    return await open(options, undo, close);
  } catch (error) {
    await close();
    if (error instanceof AgentRuntimeError || !isSystemError(error)) throw error;
    throw refuse(
      `${options.dataDir} cannot be used (${error.message})`,
      "look at what it names, then start again",
      error,
    );
  }
}

async function open(
  options: EmbeddedOptions,
  undo: (() => Promise<void>)[],
  closeAll: () => Promise<void>,
): Promise<EmbeddedHome> {
  const dataDir = await openDataDirectory(options.dataDir);
  const binaries = findBinaries(options.binaries, path.join(dataDir, "lib"));
  const { identity, version } = await chooseIdentity(binaries, dataDir);
  const tools = { dataDir, binaries, identity, version };
  const facts = {
    dataDir,
    version,
    as: identity.label,
    endsWithUs: identity.deathWatch.length > 0,
  };
  options.log.debug(facts, "opening the embedded databases");
  for (const { name } of SERVERS) await checkCluster(tools, name); // Refuse before touching anything.
  const runFolder = await takeLock(tools, undo);

  const supervisors: Supervisor[] = [];
  for (const { name, port } of SERVERS) {
    const supervisor = await prepareServer({ tools, options, name, port });
    undo.push(() => supervisor.stop());
    await supervisor.start();
    supervisors.push(supervisor);
  }
  let closing: Promise<void> | undefined;
  return {
    address: (name) => {
      const { port } = SERVERS.find((server) => server.name === name)!;
      return { host: runFolder, port, user: SUPERUSER, database: DATABASE };
    },
    status: () => supervisors.map((supervisor) => supervisor.status()),
    close: () => (closing ??= closeAll()),
  };
}

/** Takes the directory for this process, and returns the path of its sockets. */
async function takeLock(tools: ClusterTools, undo: (() => Promise<void>)[]): Promise<string> {
  const { dataDir, identity } = tools;
  const runFolder = await openRunFolder(dataDir);
  const lock = await lockDirectory(runFolder.path, dataDir);
  undo.push(
    () => lock.release(),
    () => runFolder.close(),
  );
  await mkdir(path.join(dataDir, "log"), { recursive: true, mode: 0o700 });
  // Where root started it for another user, that user must be able to start it without root.
  for (const name of ["run", "log", MARKER]) {
    await giveToServers(identity, path.join(dataDir, name));
  }
  return runFolder.path;
}

async function prepareServer(input: {
  readonly tools: ClusterTools;
  readonly options: EmbeddedOptions;
  readonly name: ServerName;
  readonly port: number;
}): Promise<Supervisor> {
  const { tools, options, name, port } = input;
  const { log, sharedBuffersMiB = DEFAULT_SHARED_BUFFERS_MIB } = options;
  // Asked again, as only now nobody else can be making it.
  if (!(await checkCluster(tools, name))) {
    log.info({ server: name }, "making the database, once");
    await createCluster(tools, name);
  }
  await writeSettings(tools, name, sharedBuffersMiB);
  const { binaries, identity, dataDir } = tools;
  const clusterDir = await realpath(clusterFolder(tools, name)); // It may be a link to another disk.
  const socketFolder = path.relative(clusterDir, path.join(dataDir, "run"));
  const line = [binaries.postgres, "-D", clusterDir, ...fixedSettings(port, socketFolder)];
  return new Supervisor({
    name,
    clusterDir,
    command: commandAs(identity, binaries, [...identity.deathWatch, ...line] as [string]),
    serverLog: new ServerLog(path.join(dataDir, "log", `${name}.log`), identity.owner),
    log,
    onRestarted: () => options.onServerRestarted?.(name),
  });
}

function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && typeof (error as NodeJS.ErrnoException).code === "string";
}
