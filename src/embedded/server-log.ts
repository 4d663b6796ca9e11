import { closeSync, fchownSync, fstatSync, openSync, renameSync, writeSync } from "node:fs";
import type { Owner } from "./identity.ts";

const FILE_LIMIT_BYTES = 4 * 1024 * 1024;
const TAIL_LINES = 12;
const LINE_LIMIT_CHARACTERS = 2_000;

/** What one server says: kept in a file of bounded size, the last lines also in memory. */
export class ServerLog {
  readonly file: string;
  readonly #owner: Owner | undefined;
  #fd: number | undefined;
  #bytes = 0;
  #tail: string[] = [];

  /**
   * @param file beside it, `<file>.1` holds what was written before.
   * @param owner whom to give it, where that is not ourselves.
   */
  constructor(file: string, owner?: Owner) {
    this.file = file;
    this.#owner = owner;
  }

  /** Writes one line at once: the last one before a crash is the one that matters. */
  write(line: string): void {
    this.#tail = [...this.#tail, line.slice(0, LINE_LIMIT_CHARACTERS)].slice(-TAIL_LINES);
    try {
      const fd = this.#room();
      this.#bytes += writeSync(fd, `${line}\n`);
    } catch {
      this.close(); // A full disk must stop no server, least of all the one that says so.
    }
  }

  /** The last lines, for the message of an error. */
  tail(): string {
    return this.#tail.join("\n");
  }

  /** Forgets the last lines: what follows belongs to another start. */
  forgetTail(): void {
    this.#tail = [];
  }

  close(): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
  }

  #room(): number {
    if (this.#fd !== undefined && this.#bytes >= FILE_LIMIT_BYTES) {
      this.close();
      renameSync(this.file, `${this.file}.1`);
    }
    if (this.#fd === undefined) {
      this.#fd = openSync(this.file, "a", 0o600);
      if (this.#owner !== undefined) fchownSync(this.#fd, this.#owner.uid, this.#owner.gid);
      this.#bytes = fstatSync(this.#fd).size;
    }
    return this.#fd;
  }
}
