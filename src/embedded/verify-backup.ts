import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import path from "node:path";
import { damaged, readManifest } from "./backup-manifest.ts";
import type { BackupManifest } from "./backup-manifest.ts";
import type { CopiedFile } from "./base-backup.ts";
import { errorCode } from "./error-code.ts";

export interface VerifyOptions {
  /** The folder of the backup. */
  readonly backup: string;
  readonly signal: AbortSignal;
  readonly onProgress?: (doneBytes: number, totalBytes: number) => void;
}

const MOST_NAMED = 5;

/**
 * Reads a backup through, and returns its manifest when every file is as it was written.
 *
 * @throws {AgentRuntimeError} BACKUP_DAMAGED, naming what is missing or differs.
 */
export async function verifyBackup(options: VerifyOptions): Promise<BackupManifest> {
  const { backup, signal, onProgress } = options;
  const manifest = await readManifest(backup);
  const totalBytes = bytesOf(manifest);
  const faults: string[] = [];
  let doneBytes = 0;
  for (const file of manifest.files) {
    signal.throwIfAborted();
    const fault = await faultOf(backup, file);
    if (fault !== undefined) faults.push(`${file.path} ${fault}`);
    doneBytes += file.bytes;
    onProgress?.(doneBytes, totalBytes);
  }
  if (faults.length === 0) return manifest;
  const more = faults.length > MOST_NAMED ? `, and ${faults.length - MOST_NAMED} more` : "";
  throw damaged(
    `${backup} is damaged: ${faults.slice(0, MOST_NAMED).join(", ")}${more}; use another backup`,
  );
}

/** All that a backup holds, in bytes. */
export function bytesOf(manifest: BackupManifest): number {
  return manifest.files.reduce((sum, { bytes }) => sum + bytes, 0);
}

async function faultOf(backup: string, file: CopiedFile): Promise<string | undefined> {
  const hash = createHash("sha256");
  let bytes = 0;
  try {
    for await (const chunk of createReadStream(path.join(backup, file.path))) {
      hash.update(chunk as Buffer);
      bytes += (chunk as Buffer).length;
    }
  } catch (error) {
    return errorCode(error) === "ENOENT" ? "is missing" : `cannot be read (${errorCode(error)})`;
  }
  if (bytes !== file.bytes) return `has ${bytes} bytes and had ${file.bytes}`;
  return hash.digest("hex") === file.sha256 ? undefined : "has another content";
}
