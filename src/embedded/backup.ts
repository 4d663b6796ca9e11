import { randomBytes } from "node:crypto";
import { mkdir, readdir, realpath, rename, rm, stat } from "node:fs/promises";
import path from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { systemClock } from "../service/clock.ts";
import type { Logger } from "../service/log-port.ts";
import { AgentRuntimeError } from "../state/errors.ts";
import { writeManifest } from "./backup-manifest.ts";
import type { BackupManifest } from "./backup-manifest.ts";
import { receiveBaseBackup } from "./base-backup.ts";
import type { BaseBackup } from "./base-backup.ts";
import type { OwnerName } from "./cluster.ts";
import { readMarker, refuse } from "./data-directory.ts";
import { syncPath, syncTree } from "./durable-file.ts";
import { errorCode } from "./error-code.ts";
import { openEmbeddedHome } from "./home.ts";
import { isLocked } from "./lock.ts";
import { openRunFolder } from "./run-folder.ts";
import { serverAddress } from "./servers.ts";
import type { ServerAddress } from "./servers.ts";
import { WireConnection } from "./wire-connection.ts";

export interface BackupOptions {
  /** Of the home, whose service may be running. */
  readonly dataDir: string;
  /** As for the home; started where no service runs. */
  readonly binaries: "npm" | string;
  /** The folder that the backup becomes: new, or empty. */
  readonly target: string;
  readonly log: Logger;
  readonly signal: AbortSignal;
  readonly onProgress?: (name: OwnerName, doneBytes: number, totalBytes: number) => void;
}

/** The servers of a home, reachable. */
interface Reached {
  address(name: OwnerName): Promise<ServerAddress>;
  close(): Promise<void>;
}

/** A little more than the data: the log that is written while it is copied. */
const ROOM_FACTOR = 1.1;
const PATIENCE_MS = 5_000;
const RETRY_MS = 100;

/**
 * Backs up main and rollback, while their service runs, or on its own where none does. The replica
 * is a copy already.
 *
 * The backup is made beside its place and gets its name when it is complete and on disk. Rollback
 * is copied first: it must never know a step that main, as it is in the backup, does not.
 *
 * @throws {AgentRuntimeError} DATA_DIRECTORY: no home, no free target, no room. UNAVAILABLE: main
 *   cannot be reached, or its data is damaged: every page is checked on the way.
 */
export async function backupHome(options: BackupOptions): Promise<BackupManifest> {
  const dataDir = await findHome(options.dataDir);
  const target = await checkTarget(path.resolve(options.target), dataDir);
  const draft = `${target}.partial`;
  await makeDraft(draft);
  try {
    const reached = await reachServers(dataDir, options);
    try {
      const manifest = await copyServers({ ...options, dataDir }, reached, draft);
      await rename(draft, target);
      await syncPath(path.dirname(target));
      return manifest;
    } finally {
      await reached.close();
    }
  } catch (error) {
    await rm(draft, { recursive: true, force: true });
    options.signal.throwIfAborted();
    if (error instanceof AgentRuntimeError) throw error;
    const message = `main could not be backed up (${(error as Error).message})`;
    throw new AgentRuntimeError("UNAVAILABLE", message, { cause: error });
  }
}

async function copyServers(
  options: BackupOptions,
  reached: Reached,
  draft: string,
): Promise<BackupManifest> {
  const createdAt = new Date(systemClock.now()).toISOString();
  const copies: [OwnerName, BaseBackup][] = [];
  const leftOut: { name: OwnerName; reason: string }[] = [];
  if (await exists(path.join(options.dataDir, "rollback"))) {
    try {
      copies.push(["rollback", await copyServer(options, reached, { draft, name: "rollback" })]);
    } catch (error) {
      // Main's backup must not fail for the server that a restore can do without.
      options.signal.throwIfAborted();
      await rm(path.join(draft, "rollback"), { recursive: true, force: true });
      leftOut.push({ name: "rollback", reason: (error as Error).message });
    }
  }
  const main = await copyServer(options, reached, { draft, name: "main" });
  copies.push(["main", main]);
  await syncTree(draft);
  return await writeManifest(draft, {
    createdAt,
    postgres: main.version,
    servers: copies.map(([name, { systemIdentifier, timeline, startLsn, stopLsn }]) => {
      return { name, systemIdentifier, timeline, startLsn, stopLsn };
    }),
    leftOut,
    files: copies.flatMap(([name, { files }]) =>
      files.map((file) => ({ ...file, path: `${name}/${file.path}` })),
    ),
    folders: copies.flatMap(([name, { folders }]) => [
      name,
      ...folders.map((folder) => `${name}/${folder}`),
    ]),
  });
}

async function copyServer(
  { signal, onProgress }: BackupOptions,
  reached: Reached,
  { draft, name }: { readonly draft: string; readonly name: OwnerName },
): Promise<BaseBackup> {
  const slot = `backup_${randomBytes(8).toString("hex")}`; // ends with its connection
  return await receiveBaseBackup({
    address: await reached.address(name),
    folder: path.join(draft, name),
    withLog: true,
    withDigests: true,
    roomFactor: ROOM_FACTOR,
    before: `CREATE_REPLICATION_SLOT ${slot} TEMPORARY PHYSICAL RESERVE_WAL`,
    signal,
    onProgress: (doneBytes, totalBytes) => onProgress?.(name, doneBytes, totalBytes),
  });
}

/** Through the sockets of a running service; where none runs, by being one for as long as it takes. */
async function reachServers(dataDir: string, options: BackupOptions): Promise<Reached> {
  const runFolder = await openRunFolder(dataDir);
  if (await isLocked(runFolder.path)) {
    return {
      address: (name) => untilReached(serverAddress(runFolder.path, name), options.signal),
      close: () => Promise.resolve(), // The folder is the service's.
    };
  }
  const { binaries, log } = options;
  const hasRollback = await exists(path.join(dataDir, "rollback"));
  const roles = hasRollback ? (["main", "rollback"] as const) : (["main"] as const);
  const home = await openEmbeddedHome({ dataDir, binaries, roles, log });
  return {
    address: async (name) => {
      const { state, reason } = await home.settled(name);
      if (state !== "ready") throw new Error(reason);
      return home.address(name);
    },
    close: () => home.close(),
  };
}

/** One that is just being started, or brought back, answers soon. */
async function untilReached(address: ServerAddress, signal: AbortSignal): Promise<ServerAddress> {
  const deadlineMs = systemClock.monotonicMs() + PATIENCE_MS;
  for (;;) {
    try {
      (await WireConnection.open(address, { signal })).close();
      return address;
    } catch (error) {
      if (signal.aborted || systemClock.monotonicMs() > deadlineMs) throw error;
      await pause(RETRY_MS);
    }
  }
}

async function findHome(wanted: string): Promise<string> {
  const dataDir = path.resolve(wanted);
  const marker = (await exists(dataDir)) ? await readMarker(dataDir) : undefined;
  if (marker?.servers.includes("main") === true) return await realpath(dataDir);
  throw refuse(`there is no home in ${dataDir}`, "name its data directory with --data-dir");
}

async function checkTarget(target: string, dataDir: string): Promise<string> {
  if (`${target}/`.startsWith(`${dataDir}/`)) {
    throw refuse(`${target} is in the data directory`, "name a folder outside of it");
  }
  const names = await readdir(target).catch((error: unknown) => {
    if (errorCode(error) === "ENOENT") return [];
    throw refuse(`${target} cannot be used (${errorCode(error)})`, "name a new folder", error);
  });
  if (names.length === 0) return target;
  throw refuse(`${target} is not empty`, "name a new folder: no backup replaces another one");
}

async function makeDraft(draft: string): Promise<void> {
  try {
    await mkdir(path.dirname(draft), { recursive: true });
    await mkdir(draft, { mode: 0o700 });
  } catch (error) {
    throw refuse(
      `${draft} cannot be made (${errorCode(error)})`,
      errorCode(error) === "EEXIST"
        ? "another backup is under way there, or was killed: then remove that folder"
        : "name a folder that this user may write to",
      error,
    );
  }
}

async function exists(file: string): Promise<boolean> {
  return (await stat(file).catch(() => undefined)) !== undefined;
}
