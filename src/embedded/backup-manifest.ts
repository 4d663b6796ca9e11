import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import path from "node:path";
import { AgentRuntimeError } from "../state/errors.ts";
import type { CopiedFile } from "./base-backup.ts";
import { writeFileDurably } from "./durable-file.ts";
import { errorCode } from "./error-code.ts";
import type { ServerName } from "./servers.ts";

/** One server of a backup. */
export interface BackupServer {
  readonly name: ServerName;
  readonly systemIdentifier: string;
  readonly timeline: number;
  /** The log from here to there is in the backup, and makes it one of a single moment. */
  readonly startLsn: string;
  readonly stopLsn: string;
}

/** What `backup.json` says of a backup; it is written last, so a backup without it is none. */
export interface BackupManifest {
  readonly format: "agent-runtime-backup";
  readonly formatVersion: number;
  /** When it was begun, as ISO 8601. */
  readonly createdAt: string;
  /** PostgreSQL's version, for example "18.4". */
  readonly postgres: string;
  readonly servers: readonly BackupServer[];
  /** Servers whose data is in the home and not in the backup, and why. */
  readonly leftOut: readonly { readonly name: ServerName; readonly reason: string }[];
  /** Paths are relative to the backup, with forward slashes. */
  readonly files: readonly CopiedFile[];
  /** All folders, also those that are empty: a copy of a copy may have lost them. */
  readonly folders: readonly string[];
}

const MANIFEST = "backup.json";
const FORMAT = "agent-runtime-backup";
const FORMAT_VERSION = 1;

/** Writes the manifest, with its own digest; from here on the folder is a backup. */
export async function writeManifest(
  folder: string,
  facts: Omit<BackupManifest, "format" | "formatVersion">,
): Promise<BackupManifest> {
  const manifest = { format: FORMAT, formatVersion: FORMAT_VERSION, ...facts } as const;
  const text = JSON.stringify({ ...manifest, digest: digestOf(manifest) });
  await writeFileDurably(path.join(folder, MANIFEST), `${text}\n`);
  return manifest;
}

/** @throws {AgentRuntimeError} BACKUP_DAMAGED: it is no backup, cut short, altered, or too new. */
export async function readManifest(folder: string): Promise<BackupManifest> {
  const file = path.join(folder, MANIFEST);
  const text = await readFile(file, "utf8").catch((error: unknown) => {
    throw damaged(
      `${folder} is no backup, or one that was cut short: it has no ${MANIFEST} that can be read (${errorCode(error)})`,
    );
  });
  const value = parse(text);
  if (value?.["format"] !== FORMAT) throw damaged(`${file} is not the manifest of a backup`);
  if (Number(value["formatVersion"]) > FORMAT_VERSION) {
    throw damaged(
      `${folder} was made by a newer version of this program (format ${String(value["formatVersion"])}; this one knows ${FORMAT_VERSION}): use that version or a newer one`,
    );
  }
  const { digest, ...manifest } = value;
  if (digest !== digestOf(manifest)) throw damaged(`${file} is not as it was written`);
  return checked(manifest as unknown as BackupManifest, file);
}

/** The one form of a refusal of a backup. */
export function damaged(message: string): AgentRuntimeError {
  return new AgentRuntimeError("BACKUP_DAMAGED", message);
}

function parse(text: string): Record<string, unknown> | undefined {
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch {
    return undefined;
  }
}

function digestOf(manifest: object): string {
  return createHash("sha256").update(JSON.stringify(manifest)).digest("hex");
}

/** Whoever can write a manifest can write its digest too, and must still not lead out of the folder. */
function checked(manifest: BackupManifest, file: string): BackupManifest {
  const paths = [...manifest.files.map((each) => each.path), ...manifest.folders];
  const stray = paths.find(
    (each) => path.posix.normalize(each) !== each || each.startsWith("..") || path.isAbsolute(each),
  );
  if (stray !== undefined) throw damaged(`${file} names ${stray}, which is not in the backup`);
  return manifest;
}
