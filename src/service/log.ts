import { pino } from "pino";
import { AgentRuntimeError } from "../state/errors.ts";
import type { Logger } from "./log-port.ts";
import { maskSecrets } from "./redact.ts";

export const LOG_LEVELS = ["debug", "info", "warn", "error", "silent"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

export const LOG_FORMATS = ["json", "pretty"] as const;
export type LogFormat = (typeof LOG_FORMATS)[number];

export interface LogOptions {
  readonly level: LogLevel;
  readonly format: LogFormat;
  /** Where finished lines go; unsaid, standard error: standard output belongs to the commands. */
  readonly write?: (line: string) => void;
}

/** A cause may have a cause; a circle of them must not hang the log. */
const MAX_CAUSES = 5;
const STDERR = 2;
/** What waits in memory while it cannot be written; what comes beyond that is lost. */
const MOST_KEPT_BYTES = 1024 * 1024;

/** A logger of one line an event, in JSON or for people; secrets come out as `***`. */
export function createLogger(options: LogOptions): Logger {
  const write = options.write ?? stderrWriter();
  const pretty = options.format === "pretty";
  return pino(
    {
      level: options.level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { error: describeError, cause: describeError, err: describeError },
      // Masking the finished line misses nothing, however deep it lies and whatever it is named.
      hooks: { streamWrite: maskSecrets },
    },
    { write: (line: string) => write(pretty ? prettyLine(line) : line) },
  );
}

/** A logger that says nothing: for a library that was given none. */
export const silentLog: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
};

/** Writes at once: the last line before a crash is the one that matters. */
function stderrWriter(): (line: string) => void {
  const destination = pino.destination({ fd: STDERR, sync: true, maxLength: MOST_KEPT_BYTES });
  // A full disk must not end the service: the next line tries again, with what is kept.
  destination.on("error", () => {});
  return (line) => void destination.write(line);
}

/** What a log says about an error: never the documents that it may carry in its facts. */
function describeError(error: unknown, depth = 0): unknown {
  if (!(error instanceof Error)) return error;
  const code: unknown =
    error instanceof AgentRuntimeError ? error.code : Reflect.get(error, "code");
  return {
    name: error.name,
    ...(typeof code === "string" ? { code } : {}),
    message: error.message,
    stack: error.stack,
    ...(error.cause !== undefined && depth < MAX_CAUSES
      ? { cause: describeError(error.cause, depth + 1) }
      : {}),
  };
}

interface Line {
  readonly time: string;
  readonly level: string;
  readonly msg?: string;
  readonly [fact: string]: unknown;
}

/** `12:04:05.123 WARN  the message  key=value`, then the stacks of its errors. */
function prettyLine(json: string): string {
  const { time, level, msg = "", ...facts } = JSON.parse(json) as Line;
  const words: string[] = [];
  const stacks: string[] = [];
  for (const [name, value] of Object.entries(facts)) {
    words.push(`${name}=${prettyValue(value)}`);
    for (let error = value; isDescribedError(error); error = error.cause) {
      stacks.push(...error.stack.split("\n").map((line) => `    ${printable(line)}`));
    }
  }
  const head = `${time.slice(11, 23)} ${level.toUpperCase().padEnd(5)} ${printable(msg)}`;
  const first = words.length === 0 ? head : `${head}  ${words.join(" ")}`;
  return `${[first, ...stacks].join("\n")}\n`;
}

function prettyValue(value: unknown): string {
  if (isDescribedError(value)) return printable(JSON.stringify(value.message));
  if (typeof value === "string" && /^[\w./:@+-]+$/.test(value)) return value;
  return printable(JSON.stringify(value));
}

function isDescribedError(
  value: unknown,
): value is { readonly message: string; readonly stack: string; readonly cause?: unknown } {
  return (
    typeof value === "object" &&
    value !== null &&
    "stack" in value &&
    typeof value.stack === "string"
  );
}

/** Without what would forge a line or turn the direction of a terminal. */
function printable(text: string): string {
  return text.replace(
    /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu,
    (character) => `\\u{${character.codePointAt(0)!.toString(16)}}`,
  );
}
