import { mkdir, open, readdir, rm } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import path from "node:path";
import type { Logger } from "../service/log-port.ts";
import { AgentRuntimeError } from "../state/errors.ts";
import { readSegment, recordLine, segmentName, segmentNumber } from "./segment.ts";

export interface SpoolOptions {
  /** One process at a time has it; made where it is not there. */
  readonly folder: string;
  /** What it holds at most; default 64 MiB and 100,000. */
  readonly maxBytes?: number;
  readonly maxRecords?: number;
  /** A file is closed when it is this long: what was removed leaves the disk a file at a time; default 256 KiB. */
  readonly segmentBytes?: number;
  readonly log: Logger;
}

export interface SpoolFigures {
  readonly records: number;
  /** On disk; what was removed counts until its whole file may go. */
  readonly bytes: number;
  /** Records that were found torn or rotten when it was opened. */
  readonly damaged: number;
}

interface Segment {
  readonly number: number;
  bytes: number;
  /** Those that were not removed. */
  records: number;
  /** How many were removed, from the front. */
  removed: number;
}

interface Waiting {
  readonly records: readonly string[];
  readonly done: (error?: Error) => void;
}

/**
 * Records on disk until somebody took them over, oldest first. What was appended survives a killed process and
 * a power cut; what was removed shortly before may come again.
 */
export class Spool {
  readonly #options: Required<SpoolOptions>;
  /** Oldest first. */
  readonly #segments: Segment[] = [];
  #records = 0;
  #bytes = 0;
  #damaged = 0;
  #nextNumber = 1;
  /** The one that grows; it is the last of the segments. */
  #open: { readonly segment: Segment; readonly file: FileHandle } | undefined;
  #waiting: Waiting[] = [];
  #writing: Promise<void> | undefined;
  /** What the oldest segment holds, as read. */
  #front: { readonly number: number; readonly records: readonly string[] } | undefined;
  #isClosed = false;

  private constructor(options: SpoolOptions) {
    this.#options = {
      maxBytes: 64 * 1024 * 1024,
      maxRecords: 100_000,
      segmentBytes: 256 * 1024,
      ...options,
    };
  }

  /** @throws {AgentRuntimeError} UNAVAILABLE: the folder cannot be made or read. */
  static async open(options: SpoolOptions): Promise<Spool> {
    const spool = new Spool(options);
    try {
      await makeFolder(options.folder);
      await spool.#readFolder();
    } catch (cause) {
      throw unavailable(options.folder, cause);
    }
    return spool;
  }

  get figures(): SpoolFigures {
    return { records: this.#records, bytes: this.#bytes, damaged: this.#damaged };
  }

  /**
   * Resolves when all of them are on disk. What is appended meanwhile is written together.
   *
   * @param records text without line breaks, such as JSON.
   * @throws {AgentRuntimeError} UNAVAILABLE: it is full, closed, or the disk refuses.
   */
  append(records: readonly string[]): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#isClosed) throw new AgentRuntimeError("UNAVAILABLE", "The spool is closed.");
      if (records.some((record) => record.includes("\n"))) {
        throw new AgentRuntimeError(
          "INVALID_DATA",
          "A record of the spool may hold no line break.",
        );
      }
      const done = (error?: Error): void => (error === undefined ? resolve() : reject(error));
      this.#waiting.push({ records, done });
      this.#writing ??= this.#writeAll();
    });
  }

  /** The oldest records, as many as are wanted at most; of one file at a time. None: it is empty. */
  async oldest(limit: number): Promise<readonly string[]> {
    for (;;) {
      await this.#dropEmpty();
      const [segment] = this.#segments;
      if (segment === undefined || segment.records === 0) return [];
      const { removed } = segment;
      if (this.#front?.number !== segment.number || this.#front.records.length <= removed) {
        const records = await this.#recordsOf(segment);
        this.#front = { number: segment.number, records };
      }
      const wanted = removed + Math.min(limit, segment.records);
      const found = this.#front.records.slice(removed, wanted);
      if (found.length > 0) return found;
      this.#giveUp(segment);
    }
  }

  /** So many of the oldest are done with; as many as `oldest` answered at most. */
  async remove(count: number): Promise<void> {
    const [segment] = this.#segments;
    if (segment === undefined) return;
    segment.removed += count;
    segment.records -= count;
    this.#records -= count;
    await this.#dropEmpty();
  }

  /** Ends after what is being written. Safe twice. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#writing;
    const file = this.#open?.file;
    this.#open = undefined;
    await file?.close();
  }

  #fileOf(segment: Pick<Segment, "number">): string {
    return path.join(this.#options.folder, segmentName(segment.number));
  }

  /** Lets go of files that hold nothing any more, from the front; also of the one that grows, unless it is being written. */
  async #dropEmpty(): Promise<void> {
    for (;;) {
      const [segment] = this.#segments;
      if (segment === undefined || segment.records > 0) return;
      if (this.#open?.segment === segment) {
        if (this.#writing !== undefined) return;
        const { file } = this.#open;
        this.#open = undefined;
        await file.close();
      }
      this.#segments.shift();
      this.#front = undefined;
      this.#bytes -= segment.bytes;
      await rm(this.#fileOf(segment), { force: true });
    }
  }

  /** None where somebody removed its file. */
  async #recordsOf(segment: Segment): Promise<readonly string[]> {
    try {
      return (await readSegment(this.#fileOf(segment))).records;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
      throw error;
    }
  }

  /** What it held cannot be read any more. */
  #giveUp(segment: Segment): void {
    const { log } = this.#options;
    log.error(
      { file: this.#fileOf(segment), lost: segment.records },
      "a spool file rotted away, or was removed",
    );
    this.#damaged += segment.records;
    this.#records -= segment.records;
    segment.records = 0;
  }

  async #readFolder(): Promise<void> {
    const { folder, log } = this.#options;
    const numbers = (await readdir(folder)).map(segmentNumber).filter((number) => number !== null);
    for (const number of numbers.toSorted((a, b) => a - b)) {
      const file = this.#fileOf({ number });
      const { records, bytes, damaged } = await readSegment(file);
      this.#nextNumber = number + 1;
      this.#damaged += damaged;
      if (damaged > 0) log.warn({ file, damaged }, "a spool file has torn or rotten records");
      if (records.length === 0) {
        await rm(file, { force: true });
        continue;
      }
      this.#segments.push({ number, bytes, records: records.length, removed: 0 });
      this.#records += records.length;
      this.#bytes += bytes;
    }
  }

  async #writeAll(): Promise<void> {
    while (this.#waiting.length > 0) {
      const fits = this.#admit(this.#waiting);
      this.#waiting = [];
      try {
        await this.#write(fits.flatMap(({ records }) => records));
        for (const { done } of fits) done();
      } catch (cause) {
        // Its file may end in a torn line: nothing is added behind it.
        const file = this.#open?.file;
        this.#open = undefined;
        await file?.close().catch(() => {});
        for (const { done } of fits) done(unavailable(this.#options.folder, cause));
      }
    }
    // At once, not when its promise settles: what is appended from here on starts the next.
    this.#writing = undefined;
  }

  /** Those that still fit; the others are refused. */
  #admit(waiting: readonly Waiting[]): Waiting[] {
    const { maxBytes, maxRecords, folder } = this.#options;
    let [records, bytes] = [this.#records, this.#bytes];
    return waiting.filter((each) => {
      const ownBytes = bytesOf(each.records);
      if (records + each.records.length <= maxRecords && bytes + ownBytes <= maxBytes) {
        records += each.records.length;
        bytes += ownBytes;
        return true;
      }
      const held = `${this.#records} records, ${this.#bytes} bytes`;
      const why = `The spool in ${folder} is full (${held}): nobody takes its records over.`;
      each.done(new AgentRuntimeError("UNAVAILABLE", why));
      return false;
    });
  }

  async #write(records: readonly string[]): Promise<void> {
    if (records.length === 0) return;
    const { segment, file } = await this.#growing();
    const lines = Buffer.from(records.map(recordLine).join(""));
    await file.appendFile(lines);
    await file.datasync();
    segment.bytes += lines.byteLength;
    segment.records += records.length;
    this.#records += records.length;
    this.#bytes += lines.byteLength;
  }

  async #growing(): Promise<{ readonly segment: Segment; readonly file: FileHandle }> {
    if (this.#open !== undefined && this.#open.segment.bytes < this.#options.segmentBytes) {
      return this.#open;
    }
    const full = this.#open?.file;
    this.#open = undefined;
    await full?.close();
    const { folder } = this.#options;
    const number = this.#nextNumber;
    await makeFolder(folder);
    const file = await open(this.#fileOf({ number }), "wx", 0o600);
    this.#nextNumber += 1;
    const segment = { number, bytes: 0, records: 0, removed: 0 };
    this.#segments.push(segment);
    this.#open = { segment, file };
    const directory = await open(folder, "r");
    try {
      await directory.sync();
    } finally {
      await directory.close();
    }
    return this.#open;
  }
}

/** Where it is not there, or no more. */
async function makeFolder(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
}

function bytesOf(records: readonly string[]): number {
  return records.reduce((sum, record) => sum + Buffer.byteLength(record) + 10, 0);
}

function unavailable(folder: string, cause: unknown): AgentRuntimeError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new AgentRuntimeError("UNAVAILABLE", `The spool in ${folder} cannot be used: ${why}`, {
    cause,
  });
}
