import { createHash } from "node:crypto";
import { createReadStream, createWriteStream } from "node:fs";
import { mkdir, rename, rm, statfs } from "node:fs/promises";
import path from "node:path";
import { pipeline } from "node:stream/promises";
import { damaged } from "./backup-manifest.ts";
import type { BackupManifest } from "./backup-manifest.ts";
import type { CopiedFile } from "./base-backup.ts";
import { findBinaries } from "./binaries.ts";
import { majorOf } from "./cluster.ts";
import { openForRestore, recordServers, refuse, RESTORE_DRAFT } from "./data-directory.ts";
import { syncPath, syncTree, writeFileDurably } from "./durable-file.ts";
import { chooseIdentity, giveToServers } from "./identity.ts";
import type { Identity } from "./identity.ts";
import { lockDirectory } from "./lock.ts";
import { openRunFolder } from "./run-folder.ts";
import { bytesOf, verifyBackup } from "./verify-backup.ts";

export interface RestoreOptions {
  /** The folder of the backup. */
  readonly backup: string;
  /** The home that it becomes: new, or empty. */
  readonly dataDir: string;
  /** As for the home. */
  readonly binaries: "npm" | string;
  readonly signal: AbortSignal;
  readonly onProgress?: (what: "verify" | "copy", doneBytes: number, totalBytes: number) => void;
}

/**
 * Makes a home of a backup, which is read through before anything is touched.
 *
 * It is put together in a folder of its own, and becomes a home with its marker, which is written
 * last: one that was cut short is refused by every start and taken up by the next restore. The next
 * start replays the log of the backup and begins a new timeline, so that nobody takes what comes
 * then for what was lost; the replica is copied anew.
 *
 * @throws {AgentRuntimeError} BACKUP_DAMAGED. DATA_DIRECTORY: not empty, in use, no room, not
 *   writable, or these binaries are of another version than the backup.
 */
export async function restoreHome(options: RestoreOptions): Promise<BackupManifest> {
  const { signal, onProgress } = options;
  const backup = path.resolve(options.backup);
  const manifest = await verifyBackup({
    backup,
    signal,
    onProgress: (done, total) => onProgress?.("verify", done, total),
  });
  const dataDir = await openForRestore(options.dataDir);
  const draft = path.join(dataDir, RESTORE_DRAFT);
  await mkdir(draft, { recursive: true, mode: 0o700 }); // From here on no start takes it for its own.
  const runFolder = await openRunFolder(dataDir);
  const lock = await lockDirectory(runFolder.path, dataDir);
  try {
    await openForRestore(dataDir); // Asked again, as only now nobody else can be filling it.
    await clear(dataDir, manifest);
    const identity = await checkFit(dataDir, manifest, options.binaries);
    await copyFiles({ ...options, backup }, manifest, draft);
    await putInPlace(dataDir, manifest, identity);
    return manifest;
  } finally {
    await lock.release();
    await runFolder.close();
  }
}

async function clear(dataDir: string, { servers }: BackupManifest): Promise<void> {
  for (const name of [RESTORE_DRAFT, ...servers.map((server) => server.name)]) {
    await rm(path.join(dataDir, name), { recursive: true, force: true });
  }
  await mkdir(path.join(dataDir, RESTORE_DRAFT), { mode: 0o700 });
}

/** Whether what is restored can be served here, and as whom. */
async function checkFit(
  dataDir: string,
  manifest: BackupManifest,
  choice: string,
): Promise<Identity> {
  const binaries = findBinaries(choice, path.join(dataDir, "lib"));
  const { identity, version } = await chooseIdentity(binaries, dataDir);
  if (majorOf(version) !== majorOf(manifest.postgres)) {
    throw refuse(
      `the backup is of PostgreSQL ${manifest.postgres}, and these binaries are PostgreSQL ${version}`,
      "name the binaries that it was made with (`embedded.binaries`)",
    );
  }
  const { bavail, bsize } = await statfs(dataDir);
  if (bavail * bsize > bytesOf(manifest)) return identity;
  throw refuse(
    `the disk of ${dataDir} has no room for the ${bytesOf(manifest)} bytes of the backup`,
    "make room there, or use another disk",
  );
}

async function copyFiles(
  { backup, signal, onProgress }: RestoreOptions,
  manifest: BackupManifest,
  draft: string,
): Promise<void> {
  for (const folder of manifest.folders) {
    await mkdir(path.join(draft, folder), { recursive: true, mode: 0o700 });
  }
  let doneBytes = 0;
  for (const file of manifest.files) {
    await copyFile(file, { from: backup, to: draft, signal });
    doneBytes += file.bytes;
    onProgress?.("copy", doneBytes, bytesOf(manifest));
  }
  for (const { name } of manifest.servers) {
    // Ends its recovery with a timeline of its own.
    await writeFileDurably(path.join(draft, name, "recovery.signal"), "");
  }
  await syncTree(draft);
}

/** Looks at the content a second time: what counts is what arrives. */
async function copyFile(
  file: CopiedFile,
  way: { readonly from: string; readonly to: string; readonly signal: AbortSignal },
): Promise<void> {
  const hash = createHash("sha256");
  await pipeline(
    createReadStream(path.join(way.from, file.path)),
    async function* (chunks: AsyncIterable<Buffer>) {
      for await (const chunk of chunks) {
        hash.update(chunk);
        yield chunk;
      }
    },
    createWriteStream(path.join(way.to, file.path), { flags: "wx", mode: 0o600 }),
    { signal: way.signal },
  );
  if (hash.digest("hex") === file.sha256) return;
  throw damaged(`${path.join(way.from, file.path)} changed while it was restored`);
}

async function putInPlace(
  dataDir: string,
  { servers }: BackupManifest,
  identity: Identity,
): Promise<void> {
  const names = servers.map(({ name }) => name);
  for (const name of names) {
    await rename(path.join(dataDir, RESTORE_DRAFT, name), path.join(dataDir, name));
  }
  await syncPath(dataDir);
  await giveToServers(identity, dataDir);
  await recordServers(dataDir, names); // Now it is a home.
  await rm(path.join(dataDir, RESTORE_DRAFT), { recursive: true });
}
