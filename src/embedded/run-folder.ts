import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { lstat, mkdir, readlink, rename, rm, symlink, unlink } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { AgentRuntimeError } from "../state/errors.ts";
import { errorCode } from "./error-code.ts";

/** Socket paths hold 103 bytes on macOS, 107 on Linux; the longest name in the folder takes 20. */
const FOLDER_LIMIT_BYTES = 82;

export interface RunFolder {
  readonly path: string;
  /** Removes what lies outside the data directory. */
  close(): Promise<void>;
}

/**
 * Makes the private folder for sockets, and finds a path to it that is short enough for them.
 *
 * Below a deep data directory that is the path of a link in the folder for temporary files. The
 * sockets themselves, and with them the lock, are always in the data directory: whoever starts
 * with another TMPDIR takes another link to the same lock.
 */
export async function openRunFolder(dataDir: string): Promise<RunFolder> {
  const folder = path.join(dataDir, "run");
  await mkdir(folder, { recursive: true, mode: 0o700 });
  if (Buffer.byteLength(folder) <= FOLDER_LIMIT_BYTES) {
    return { path: folder, close: async () => {} };
  }

  const digest = createHash("sha256").update(folder).digest("hex").slice(0, 16);
  const name = `agent-runtime-${process.getuid?.() ?? 0}-${digest}`;
  for (const base of [os.tmpdir(), "/tmp"]) {
    const link = path.join(base, name, "run");
    if (Buffer.byteLength(link) > FOLDER_LIMIT_BYTES) continue;
    if (!(await makePrivate(path.dirname(link)))) continue;
    await pointTo(link, folder);
    const close = (): Promise<void> => rm(path.dirname(link), { recursive: true, force: true }); // the link, not what it leads to
    return { path: link, close };
  }
  throw new AgentRuntimeError(
    "DATA_DIRECTORY",
    `the path of ${dataDir} is too long for unix sockets, and no short link to it can be made in ${os.tmpdir()}: choose a shorter data directory, or set TMPDIR to a folder that this user may write to`,
  );
}

/** The folder for sockets of a home that runs, for whoever only looks; null where it is not there or its path is too long. */
export function runFolderOf(dataDir: string): string | null {
  const folder = path.join(dataDir, "run");
  return existsSync(folder) && Buffer.byteLength(folder) <= FOLDER_LIMIT_BYTES ? folder : null;
}

/** False where it cannot be made. Others may write beside it: a folder that somebody else put there must not be trusted. */
async function makePrivate(folder: string): Promise<boolean> {
  const fault = await mkdir(folder, { mode: 0o700 }).then(() => "", errorCode);
  if (fault !== "" && fault !== "EEXIST") return false;
  const found = await lstat(folder);
  const ours = found.isDirectory() && found.uid === process.getuid?.();
  if (!ours || (found.mode & 0o022) !== 0) {
    throw new AgentRuntimeError(
      "DATA_DIRECTORY",
      `${folder} is not a private folder of this user: remove it, or choose a shorter data directory, which needs no link there`,
    );
  }
  return true;
}

async function pointTo(link: string, folder: string): Promise<void> {
  if ((await readlink(link).catch(() => undefined)) === folder) return;
  const next = `${link}.${process.pid}`;
  await unlink(next).catch(() => {});
  await symlink(folder, next);
  await rename(next, link);
}
