import { createHash } from "node:crypto";
import type { Hash } from "node:crypto";
import { mkdir, open, statfs } from "node:fs/promises";
import path from "node:path";
import { AgentRuntimeError } from "../state/errors.ts";
import { ByteReader } from "./byte-reader.ts";
import type { ServerAddress } from "./servers.ts";
import { tarEntries } from "./tar-entries.ts";
import type { TarEntry } from "./tar-entries.ts";
import { WireConnection } from "./wire-connection.ts";
import type { WireEvent } from "./wire-connection.ts";

/** One file of a copy. */
export interface CopiedFile {
  /** Relative to the copy's folder, with forward slashes. */
  readonly path: string;
  readonly bytes: number;
  /** Of its content, in hexadecimal; empty where none was asked for. */
  readonly sha256: string;
}

/** A copy of a running server, as its folder says nothing of it. */
export interface BaseBackup {
  readonly systemIdentifier: string;
  /** PostgreSQL's version, for example "18.4". */
  readonly version: string;
  readonly timeline: number;
  /** From here to there the log must be replayed before the copy is one of a single moment. */
  readonly startLsn: string;
  readonly stopLsn: string;
  readonly files: readonly CopiedFile[];
  readonly folders: readonly string[];
}

export interface BaseBackupOptions {
  readonly address: ServerAddress;
  /** Must not exist. Nothing of it is on disk for sure before `syncTree`. */
  readonly folder: string;
  /** With the log that it needs, so that it can be started on its own. */
  readonly withLog: boolean;
  readonly withDigests: boolean;
  /** How many times its size must be free; what is over stays free. */
  readonly roomFactor: number;
  readonly signal: AbortSignal;
  /** Run on the connection before the copy: makes the slot that keeps the log for it. */
  readonly before: string;
  readonly onProgress?: (doneBytes: number, totalBytes: number) => void;
}

/**
 * Copies a running server into a new folder, as PostgreSQL's own pg_basebackup does: over the
 * protocol of streaming replication, so that the server itself minds files that grow, shrink or
 * vanish meanwhile, leaves out what is of no use in a copy, and checks every page on the way.
 *
 * @throws {AgentRuntimeError} DATA_DIRECTORY: no room, or tablespaces outside of the data folder.
 */
export async function receiveBaseBackup(options: BaseBackupOptions): Promise<BaseBackup> {
  const { address, signal } = options;
  const connection = await WireConnection.open(address, { replication: true, signal });
  try {
    const [identity] = await connection.query("IDENTIFY_SYSTEM");
    await connection.query(options.before);
    const receiver = new Receiver(options);
    await receiver.run(connection);
    const [systemIdentifier = "", timeline = ""] = identity![0]!;
    const version = connection.parameters.get("server_version")!.split(" ")[0]!;
    return { systemIdentifier, version, timeline: Number(timeline), ...receiver.received() };
  } finally {
    connection.close();
  }
}

class Receiver {
  readonly #options: BaseBackupOptions;
  readonly #files: CopiedFile[] = [];
  readonly #folders: string[] = [];
  #startLsn = "";
  #stopLsn = "";
  #doneBytes = 0;
  #totalBytes = 0;

  constructor(options: BaseBackupOptions) {
    this.#options = options;
  }

  received() {
    const [startLsn, stopLsn] = [this.#startLsn, this.#stopLsn];
    return { startLsn, stopLsn, files: this.#files, folders: this.#folders };
  }

  async run(connection: WireConnection): Promise<void> {
    const { withLog, folder } = this.#options;
    await mkdir(folder, { mode: 0o700 });
    const settings = [
      `LABEL 'agent_runtime', CHECKPOINT 'fast', PROGRESS true, MANIFEST 'no'`,
      `WAL ${withLog}, WAIT false`, // Nobody archives the log of a home: there is nothing to wait for.
    ];
    const events = connection.run(`BASE_BACKUP (${settings.join(", ")})`);
    const reader = new ByteReader(this.#archive(events));
    for await (const entry of tarEntries(reader)) await this.#take(entry, reader);
  }

  /** The bytes of the archive; what the server says around it is noted on the way. */
  async *#archive(events: AsyncGenerator<WireEvent>): AsyncGenerator<Buffer> {
    for await (const event of events) {
      if (event.kind === "row") await this.#note(event.set, event.values);
      else if (event.bytes[0] === DATA) yield event.bytes.subarray(1);
    }
  }

  /** First where the copy starts, then one row a tablespace, last where it stops. */
  async #note(set: number, values: readonly string[]): Promise<void> {
    const [first = "", second = "", kib = "0"] = values;
    if (set === 0) this.#startLsn = first;
    else if (set === 2) this.#stopLsn = first;
    else if (first === "") await this.#checkRoom(Number(kib) * 1024);
    else throw refuseTablespace(second);
  }

  async #checkRoom(totalBytes: number): Promise<void> {
    const { folder, roomFactor } = this.#options;
    this.#totalBytes = totalBytes;
    const { bavail, bsize } = await statfs(folder);
    if (bavail * bsize >= totalBytes * roomFactor) return;
    const [has, needs] = [bavail * bsize, totalBytes * roomFactor].map((bytes) =>
      Math.ceil(bytes / 1024 / 1024),
    );
    throw new AgentRuntimeError(
      "DATA_DIRECTORY",
      `the disk of ${path.dirname(folder)} has ${has} MiB free, and a copy needs ${needs} MiB: make room there, or use another disk`,
    );
  }

  async #take({ path: name, kind, bytes }: TarEntry, reader: ByteReader): Promise<void> {
    const relative = path.posix.normalize(name).replace(/\/$/, "");
    if (relative === ".." || relative.startsWith("../") || path.isAbsolute(relative)) {
      throw new Error(`the server sent the path ${name}`);
    }
    const target = path.join(this.#options.folder, relative);
    if (kind === "file") {
      const sha256 = await this.#takeFile(target, bytes, reader);
      this.#files.push({ path: relative, bytes, sha256 });
    } else if (kind === "folder" && relative !== ".") {
      await mkdir(target, { recursive: true, mode: 0o700 });
      this.#folders.push(relative);
    } else if (kind === "other") throw refuseTablespace(name);
  }

  async #takeFile(target: string, bytes: number, reader: ByteReader): Promise<string> {
    const { withDigests, onProgress } = this.#options;
    const hash: Hash | undefined = withDigests ? createHash("sha256") : undefined;
    const handle = await open(target, "wx", 0o600);
    try {
      for (let left = bytes; left > 0;) {
        const part = await reader.take(left);
        if (part === undefined) throw new Error("the copy was cut short");
        hash?.update(part);
        await handle.writeFile(part);
        left -= part.length;
        this.#doneBytes += part.length;
        onProgress?.(this.#doneBytes, Math.max(this.#doneBytes, this.#totalBytes));
      }
    } finally {
      await handle.close();
    }
    return hash?.digest("hex") ?? "";
  }
}

const DATA = "d".charCodeAt(0);

function refuseTablespace(where: string): AgentRuntimeError {
  return new AgentRuntimeError(
    "DATA_DIRECTORY",
    `the database has a tablespace outside of its folder (${where}), which a copy would leave out: move its tables into pg_default and drop it`,
  );
}
