import type { Config } from "../config/options.ts";
import { backupHome } from "../embedded/backup.ts";
import type { BackupManifest } from "../embedded/backup-manifest.ts";
import { restoreHome } from "../embedded/restore.ts";
import { bytesOf, verifyBackup } from "../embedded/verify-backup.ts";
import { silentLog } from "../service/log.ts";

/** What came of making, reading through or restoring a backup. */
export interface BackupReport extends Omit<
  BackupManifest,
  "format" | "formatVersion" | "files" | "folders"
> {
  readonly files: number;
  readonly bytes: number;
}

export interface BackupCall {
  /** The folder of the backup. */
  readonly folder: string;
  readonly signal: AbortSignal;
  /** @param what what is being worked on, for people. */
  readonly onProgress: (what: string, doneBytes: number, totalBytes: number) => void;
}

/** Backs up the embedded home of a configuration, whose service may be running. */
export async function backupEmbedded(config: Config, call: BackupCall): Promise<BackupReport> {
  const { folder: target, signal, onProgress } = call;
  const { dataDir } = config;
  const { binaries } = config.embedded;
  return reportOf(
    await backupHome({ dataDir, binaries, target, signal, onProgress, log: silentLog }),
  );
}

/** Reads a backup through: BACKUP_DAMAGED where a file is not as it was written. */
export async function verifyEmbedded(call: BackupCall): Promise<BackupReport> {
  const { folder: backup, signal, onProgress } = call;
  const told = (done: number, total: number): void => onProgress("verified", done, total);
  return reportOf(await verifyBackup({ backup, signal, onProgress: told }));
}

/** Makes a backup the embedded home of a configuration. */
export async function restoreEmbedded(config: Config, call: BackupCall): Promise<BackupReport> {
  const { folder: backup, signal } = call;
  const words = { verify: "verified", copy: "copied" };
  const { dataDir } = config;
  const { binaries } = config.embedded;
  return reportOf(
    await restoreHome({
      backup,
      dataDir,
      binaries,
      signal,
      onProgress: (what, done, total) => call.onProgress(words[what], done, total),
    }),
  );
}

function reportOf(manifest: BackupManifest): BackupReport {
  const { createdAt, postgres, servers, leftOut, files } = manifest;
  return { createdAt, postgres, servers, leftOut, files: files.length, bytes: bytesOf(manifest) };
}
