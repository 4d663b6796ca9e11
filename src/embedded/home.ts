import assert from "node:assert/strict";
import { mkdir } from "node:fs/promises";
import path from "node:path";
import type { Logger } from "../service/log-port.ts";
import { AgentRuntimeError } from "../state/errors.ts";
import { BackgroundServer } from "./background-server.ts";
import { findBinaries } from "./binaries.ts";
import { checkCluster, clusterFolder, createCluster, removeDrafts } from "./cluster.ts";
import type { ClusterTools } from "./cluster.ts";
import { MARKER, openDataDirectory, refuse } from "./data-directory.ts";
import { chooseIdentity, giveToServers } from "./identity.ts";
import { settingsFor, superviseServer } from "./launch.ts";
import type { Launch } from "./launch.ts";
import { endLeftovers } from "./leftovers.ts";
import { lockDirectory } from "./lock.ts";
import { refuseRenewing } from "./renewing.ts";
import { dropReplicaSlot, openReplica } from "./replica.ts";
import { openRunFolder } from "./run-folder.ts";
import type { ServerStatus } from "./server-status.ts";
import { SERVER_NAMES, serverAddress } from "./servers.ts";
import type { ServerAddress, ServerName } from "./servers.ts";
import type { Supervisor } from "./supervisor.ts";

export interface EmbeddedOptions {
  /** Made where it is missing, readable by its owner alone. On a disk of this machine. */
  readonly dataDir: string;
  /** "npm", or a folder with initdb and postgres, for example /usr/lib/postgresql/17/bin. */
  readonly binaries: "npm" | string;
  /** Which servers it runs; main is always one of them. Unsaid: all. */
  readonly roles?: readonly ServerName[];
  readonly log: Logger;
  /** Memory for pages that are in use; default 64. It is resident only once touched. */
  readonly sharedBuffersMiB?: number;
  /** Every connection to that server was cut; it answers again. */
  readonly onServerRestarted?: (name: ServerName) => void;
  /** What is done to the directory once it is ours, before main is looked at, which may be damaged. */
  readonly beforeMain?: (tools: ClusterTools) => Promise<void>;
}

/** PostgreSQL servers that live and end with this process, and their data directory. */
export interface EmbeddedHome {
  /** Of any server that it runs, ready or not. */
  address(name: ServerName): ServerAddress;
  status(): readonly ServerStatus[];
  /** Resolves once the server has come up; rejects (UNAVAILABLE) when the home is closed before. */
  whenReady(name: ServerName): Promise<void>;
  /** Its status once the first attempt to bring it up is over, whatever came of it. */
  settled(name: ServerName): Promise<ServerStatus>;
  /** Shuts the servers down, then gives the directory free. Close connections first. Safe twice. */
  close(): Promise<void>;
}

const DEFAULT_SHARED_BUFFERS_MIB = 64;

/** One server of an open home. */
type Part = Pick<BackgroundServer, "status" | "whenReady" | "settled">;

/**
 * Opens the data directory, making what is missing, and starts its servers; resolves when main
 * accepts connections. The others come up meanwhile and after that: what is wrong with them is in
 * their status, and keeps nobody from working on main.
 *
 * Call it on the main thread: on Linux the servers end with the calling thread.
 *
 * @throws {AgentRuntimeError} DATA_DIRECTORY: in use, not writable, not ours, of another version, or
 *   damaged, and left as it was; or main does not start, with its last words. INVALID_CONFIG: no
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
  const { log, sharedBuffersMiB = DEFAULT_SHARED_BUFFERS_MIB, roles = SERVER_NAMES } = options;
  assert(roles.includes("main"), "a home needs the role main");
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
  log.debug(facts, "opening the embedded databases");
  if (options.beforeMain === undefined) {
    await refuseRenewing(dataDir);
    await checkCluster(tools, "main"); // Refuse before touching anything.
  }
  const runFolder = await takeLock(tools, undo);
  await removeDrafts(tools);
  await options.beforeMain?.(tools);
  const launch: Launch = {
    tools,
    runFolder,
    settings: await settingsFor(tools, sharedBuffersMiB),
    log,
    onRestarted: (name) => {
      try {
        options.onServerRestarted?.(name);
      } catch (error) {
        log.error({ server: name, error }, "who should hear of the restart failed at it");
      }
    },
  };
  const parts = await startParts(launch, roles, undo);
  const part = (name: ServerName): Part => {
    const found = parts.get(name);
    assert(found !== undefined, `this home was opened without the role ${name}`);
    return found;
  };
  let closing: Promise<void> | undefined;
  return {
    address: (name) => {
      part(name);
      return serverAddress(runFolder, name);
    },
    status: () => SERVER_NAMES.flatMap((name) => parts.get(name)?.status() ?? []),
    whenReady: (name) => part(name).whenReady(),
    settled: (name) => part(name).settled(),
    close: () => (closing ??= closeAll()),
  };
}

/** Main first: it is what everybody waits for, and what the replica is made of. */
async function startParts(
  launch: Launch,
  roles: readonly ServerName[],
  undo: (() => Promise<void>)[],
): Promise<ReadonlyMap<ServerName, Part>> {
  const { tools, log } = launch;
  for (const name of SERVER_NAMES.filter((each) => !roles.includes(each))) {
    await endLeftovers(clusterFolder(tools, name), log);
  }
  const main = await prepareOwner(launch, "main");
  undo.push(() => main.stop());
  await main.start();
  const parts = new Map<ServerName, Part>();
  parts.set("main", {
    status: () => main.status(),
    whenReady: () => Promise.resolve(),
    settled: () => Promise.resolve(main.status()),
  });
  // In this order, as what is started last is stopped first: the replica, then what it follows.
  for (const [name, make] of [
    ["rollback", openRollback],
    ["readonly", openReplica],
  ] as const) {
    if (!roles.includes(name)) continue;
    const server = make(launch);
    undo.push(() => server.stop());
    server.start();
    parts.set(name, server);
  }
  if (!roles.includes("readonly")) await dropReplicaSlot(launch);
  return parts;
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

/** A server with a database of its own, which is made where there is none. */
async function prepareOwner(launch: Launch, name: "main" | "rollback"): Promise<Supervisor> {
  // Asked again, as only now nobody else can be making it.
  if (!(await checkCluster(launch.tools, name))) {
    launch.log.info({ server: name }, "making the database, once");
    await createCluster(launch.tools, name);
  }
  return await superviseServer(launch, name);
}

/** The rollback server: apart from main in everything, so that what damages one leaves the other. */
function openRollback(launch: Launch): BackgroundServer {
  return new BackgroundServer({
    name: "rollback",
    log: launch.log,
    prepare: () => prepareOwner(launch, "rollback"),
    onRestarted: () => launch.onRestarted("rollback"),
  });
}

function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && typeof (error as NodeJS.ErrnoException).code === "string";
}
