import { createReadStream } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import { resolve } from "node:path";
import type { Readable } from "node:stream";
import { promisify } from "node:util";
import { createGunzip, gunzip } from "node:zlib";
import { AgentRuntimeError } from "../state/errors.ts";
import type { DataLimits } from "../state/json-check.ts";
import { parseJsonText } from "../state/json-text.ts";
import type { Json } from "../state/json.ts";
import { quote } from "../state/quote.ts";
import { CommandFailed, UsageError } from "./failure.ts";
import type { Terminal } from "./terminal.ts";

/** One document is at most 64 MiB in any configuration; a line holds one, and a little around it. */
export const MAX_LINE_BYTES = 65 * 1024 * 1024;

/** What a parser would bend in silence is refused here; how large a document may be, the service knows. */
export const JSON_LIMITS: DataLimits = { dataBytes: MAX_LINE_BYTES, dataDepth: 1_000 };

const MAX_FILE_BYTES = 256 * 1024 * 1024;
const GZIP_MAGIC = Buffer.from([0x1f, 0x8b]);

/** The JSON of an option: as typed, of a file (`@file`), or of standard input (`-`). */
export async function readJson(
  argument: string,
  option: string,
  terminal: Terminal,
): Promise<Json> {
  const { text, where } = await readArgument(argument, option, terminal);
  try {
    return parseJsonText(text, JSON_LIMITS);
  } catch (error) {
    if (!(error instanceof AgentRuntimeError)) throw error;
    throw new UsageError(`${where}: ${error.message}`, { cause: error });
  }
}

async function readArgument(
  argument: string,
  option: string,
  terminal: Terminal,
): Promise<{ readonly text: string; readonly where: string }> {
  if (argument === "-") {
    return { text: await readAll(terminal.stdin), where: "standard input" };
  }
  if (!argument.startsWith("@")) return { text: argument, where: option };
  const file = argument.slice(1);
  const text = decodeText(await readWhole(resolve(terminal.cwd, file), file), file);
  return { text, where: quote(file) };
}

/** The text of a file, unpacked where it is gzip. */
export async function readTextFile(file: string, terminal: Terminal): Promise<string> {
  const bytes = await readWhole(resolve(terminal.cwd, file), file);
  if (!bytes.subarray(0, 2).equals(GZIP_MAGIC)) return decodeText(bytes, file);
  try {
    const plain = await promisify(gunzip)(bytes, { maxOutputLength: 2 * MAX_FILE_BYTES });
    return decodeText(plain, file);
  } catch (error) {
    if (error instanceof CommandFailed) throw error;
    const why = error instanceof Error ? error.message : String(error);
    throw new CommandFailed(`${quote(file)} could not be unpacked: ${why}`, { cause: error });
  }
}

/** One line of a file, with its number, counted from 1. */
export interface Line {
  readonly number: number;
  readonly text: string;
  /** Bytes read so far, of the file as it lies on disk. */
  readonly bytesRead: number;
}

export interface LineSource {
  readonly lines: AsyncIterable<Line>;
  /** Bytes of the file; undefined for standard input. */
  readonly totalBytes: number | undefined;
}

/** The lines of a file (`-`: of standard input) as they are read, unpacked where its name ends in .gz. */
export async function openLines(file: string, terminal: Terminal): Promise<LineSource> {
  if (file === "-") return { lines: splitLines(terminal.stdin), totalBytes: undefined };
  const path = resolve(terminal.cwd, file);
  const totalBytes = await sizeOf(path, file);
  const raw = createReadStream(path);
  if (!file.endsWith(".gz")) return { lines: splitLines(raw), totalBytes };
  const unpacked = createGunzip();
  raw.on("error", (error) => unpacked.destroy(error));
  raw.pipe(unpacked);
  return { lines: splitLines(unpacked, () => raw.bytesRead), totalBytes };
}

async function* splitLines(source: Readable, position?: () => number): AsyncGenerator<Line> {
  let parts: Buffer[] = [];
  let partBytes = 0;
  let number = 0;
  let bytesRead = 0;
  const take = (): Line => {
    const text = decodeText(Buffer.concat(parts), `line ${(number += 1)}`);
    parts = [];
    partBytes = 0;
    return { number, text, bytesRead: position?.() ?? bytesRead };
  };
  for await (const chunk of source) {
    let rest: Buffer = Buffer.isBuffer(chunk) ? chunk : Buffer.from(String(chunk));
    for (let end = rest.indexOf(10); end >= 0; end = rest.indexOf(10)) {
      parts.push(rest.subarray(0, end));
      bytesRead += end + 1;
      rest = rest.subarray(end + 1);
      yield take();
    }
    parts.push(rest);
    bytesRead += rest.length;
    partBytes += rest.length;
    if (partBytes > MAX_LINE_BYTES) {
      throw new CommandFailed(`line ${number + 1} is longer than ${MAX_LINE_BYTES} bytes`);
    }
  }
  if (partBytes > 0) yield take();
}

async function readAll(source: Readable): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of source) {
    const part: Buffer = Buffer.isBuffer(chunk) ? chunk : Buffer.from(String(chunk));
    chunks.push(part);
    bytes += part.length;
    if (bytes > MAX_LINE_BYTES) {
      throw new CommandFailed(`standard input holds more than ${MAX_LINE_BYTES} bytes`);
    }
  }
  return decodeText(Buffer.concat(chunks), "standard input");
}

async function readWhole(path: string, name: string): Promise<Buffer> {
  const bytes = await sizeOf(path, name);
  if (bytes > MAX_FILE_BYTES) {
    throw new CommandFailed(`${quote(name)} is larger than 256 MiB; split it`);
  }
  return await readFile(path).catch((error: unknown) => {
    throw unreadable(name, error);
  });
}

async function sizeOf(path: string, name: string): Promise<number> {
  const found = await stat(path).catch((error: unknown) => {
    throw unreadable(name, error);
  });
  if (found.isDirectory()) throw new UsageError(`${quote(name)} is a folder, not a file`);
  return found.size;
}

function unreadable(name: string, error: unknown): UsageError {
  const code: unknown = error instanceof Error ? Reflect.get(error, "code") : undefined;
  const why = code === "ENOENT" ? "there is no such file" : `it cannot be read (${String(code)})`;
  return new UsageError(`${quote(name)}: ${why}`, { cause: error });
}

/** UTF-8 as it must be: a byte that is wrong would silently become another text. */
function decodeText(bytes: Uint8Array, where: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (error) {
    throw new CommandFailed(`${where} is not UTF-8 text`, { cause: error });
  }
}
