import {
  access,
  chmod,
  constants,
  mkdir,
  readdir,
  readFile,
  realpath,
  stat,
} from "node:fs/promises";
import path from "node:path";
import { AgentRuntimeError } from "../state/errors.ts";
import { writeFileDurably } from "./durable-file.ts";
import { errorCode } from "./error-code.ts";
import type { ServerName } from "./servers.ts";

/** What `agent_runtime.json` says: that the directory is ours, and what must be in it. */
export interface Marker {
  readonly layout: number;
  /** The servers whose databases were finished; one that is missing is a loss, not a first start. */
  readonly servers: readonly string[];
}

/** The file whose content is the marker. */
export const MARKER = "agent_runtime.json";

/** The folder in a data directory in which a restore puts a home together. */
export const RESTORE_DRAFT = "restore.new";

const LAYOUT = 1;
/** What may lie in a directory that counts as empty: a fresh disk's, or a marker never finished. */
const HARMLESS = /^(lost\+found|agent_runtime\.json\.[0-9a-f]+\.tmp)$/;
const HALF_RESTORED =
  /^(lost\+found|agent_runtime\.json\.[0-9a-f]+\.tmp|restore\.new|run|lib|main|rollback)$/;

/**
 * Checks that a data directory is ours to use, makes it where there is none, and returns its real
 * path. What it refuses (DATA_DIRECTORY) it leaves as it is.
 */
export async function openDataDirectory(wanted: string): Promise<string> {
  const dataDir = await makeFolder(path.resolve(wanted));
  const marker = await readMarker(dataDir);
  await checkAccess(dataDir);
  if (marker !== undefined) return dataDir;
  await chmod(dataDir, 0o700);
  await writeMarker(dataDir, { layout: LAYOUT, servers: [] });
  return dataDir;
}

/**
 * Checks that a restore may fill a data directory, makes it where there is none, and returns its
 * real path: it must be empty, but for what a restore into it that was cut short has left.
 */
export async function openForRestore(wanted: string): Promise<string> {
  const dataDir = await makeFolder(path.resolve(wanted));
  await checkAccess(dataDir);
  const names = await readdir(dataDir);
  const ours = names.includes(RESTORE_DRAFT) ? HALF_RESTORED : HARMLESS;
  const foreign = names.includes(MARKER) ? MARKER : names.find((name) => !ours.test(name));
  if (foreign === undefined) {
    await chmod(dataDir, 0o700);
    return dataDir;
  }
  throw refuse(
    `${dataDir} is not empty (it holds ${foreign})`,
    "name a new or empty directory with --data-dir",
  );
}

/** The marker, or nothing where the directory is empty; refuses every other directory. */
export async function readMarker(dataDir: string): Promise<Marker | undefined> {
  const file = path.join(dataDir, MARKER);
  const text = await readFile(file, "utf8").catch((error: unknown) => {
    if (errorCode(error) === "ENOENT") return undefined;
    throw refuse(
      `cannot read ${file} (${errorCode(error)})`,
      `start as the user who owns it`,
      error,
    );
  });
  if (text !== undefined) return parseMarker(file, text);
  const names = await readdir(dataDir);
  const foreign = names.find((name) => !HARMLESS.test(name));
  if (foreign === undefined) return undefined;
  if (names.includes(RESTORE_DRAFT)) {
    throw refuse(`a restore into ${dataDir} was cut short`, "run it again");
  }
  throw refuse(
    `${dataDir} is not empty and has no ${MARKER} (it holds ${foreign}), so it is not a data directory of this program, or a damaged one`,
    "name an empty or new directory with --data-dir, or restore this one from a backup",
  );
}

/** Notes that the databases of servers are complete. */
export async function recordServers(dataDir: string, names: readonly ServerName[]): Promise<void> {
  const text = await readFile(path.join(dataDir, MARKER), "utf8").catch(() => undefined);
  const known = text === undefined ? [] : parseMarker(path.join(dataDir, MARKER), text).servers;
  if (names.every((name) => known.includes(name))) return;
  await writeMarker(dataDir, { layout: LAYOUT, servers: [...new Set([...known, ...names])] });
}

/** Notes that the database of a server is no longer here, and is to be made anew. */
export async function forgetServer(dataDir: string, name: ServerName): Promise<void> {
  const marker = await readMarker(dataDir);
  if (marker?.servers.includes(name) !== true) return;
  const servers = marker.servers.filter((each) => each !== name);
  await writeMarker(dataDir, { ...marker, servers });
}

/** The one form of a refusal: what is wrong, then what to do. */
export function refuse(wrong: string, remedy: string, cause?: unknown): AgentRuntimeError {
  return new AgentRuntimeError("DATA_DIRECTORY", `${wrong}: ${remedy}`, { cause });
}

async function makeFolder(folder: string): Promise<string> {
  try {
    await mkdir(path.dirname(folder), { recursive: true });
    await mkdir(folder, { mode: 0o700 }).catch((error: unknown) => {
      if (errorCode(error) !== "EEXIST") throw error;
    });
    if ((await stat(folder)).isDirectory()) return await realpath(folder);
  } catch (error) {
    const code = errorCode(error);
    throw refuse(
      `the data directory ${folder} cannot be made (${code})`,
      "make it yourself and let this user write to it, or name another with --data-dir",
      error,
    );
  }
  throw refuse(`${folder} is not a directory`, "name another with --data-dir");
}

async function checkAccess(dataDir: string): Promise<void> {
  try {
    await access(dataDir, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch (error) {
    const code = errorCode(error);
    throw refuse(
      code === "EROFS"
        ? `${dataDir} is on a read-only disk`
        : `this user may not write to ${dataDir} (${code})`,
      "make it writable, start as the user who owns it, or name another with --data-dir",
      error,
    );
  }
}

function parseMarker(file: string, text: string): Marker {
  const restore = "restore the data directory from a backup, or name another with --data-dir";
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw refuse(`${file} is damaged (not JSON)`, restore, error);
  }
  const { layout, servers } = (value ?? {}) as Partial<Record<keyof Marker, unknown>>;
  if (typeof layout === "number" && layout > LAYOUT) {
    throw refuse(
      `${path.dirname(file)} was made by a newer version of this program (layout ${layout}; this one knows ${LAYOUT})`,
      "start that version or a newer one",
    );
  }
  if (layout !== LAYOUT || !Array.isArray(servers)) throw refuse(`${file} is damaged`, restore);
  return { layout, servers: servers.map(String) };
}

async function writeMarker(dataDir: string, marker: Marker): Promise<void> {
  await writeFileDurably(path.join(dataDir, MARKER), `${JSON.stringify(marker)}\n`);
}
