import { AgentRuntimeError } from "./errors.ts";
import { findFault } from "./json-fault.ts";
import { isPlain } from "./json-plain.ts";
import type { Fault } from "./json-fault.ts";
import type { Json } from "./json.ts";
import { formatPointer } from "./pointer.ts";
import { quote } from "./quote.ts";

/** What one document may cost. */
export interface DataLimits {
  /** Bytes of its JSON text in UTF-8. */
  readonly dataBytes: number;
  /** Levels of arrays and objects: 0 for a scalar, 1 for `{}`. */
  readonly dataDepth: number;
}

/**
 * The JSON text of a value that a caller of the library wants kept.
 *
 * As with JSON.stringify, a field that is undefined is left out, `toJSON` is asked, and an instance
 * of a class gives its own fields. What JSON.stringify would lose or bend in silence is refused:
 * NaN, functions, undefined in an array, Map, Set, Error, binary data, integers beyond 2^53-1.
 *
 * @throws {AgentRuntimeError} INVALID_DATA or PAYLOAD_TOO_LARGE with the JSON Pointer of the place.
 */
export function serializeData(value: unknown, limits: DataLimits): string {
  // Looked at before it is written: a value that shares its parts a billion times over is small in
  // memory and endless as text.
  if (!guarded(() => isPlain(value, limits))) checkData(value, limits);
  const text = guarded(() => JSON.stringify(value));
  // JSON.stringify escapes NUL and lone surrogates, and few documents hold such an escape at all.
  if (text.includes("\\u") || text.includes("__proto__")) checkData(value, limits);
  // A UTF-16 unit is three bytes at most, so most documents need no counting.
  if (text.length * 3 > limits.dataBytes) checkBytes(text, limits.dataBytes);
  return text;
}

/**
 * Nothing, where a value can be kept as far as its content goes; `serializeData` counts its bytes.
 *
 * @throws {AgentRuntimeError} INVALID_DATA or PAYLOAD_TOO_LARGE with the JSON Pointer of the place.
 */
export function checkData(value: unknown, limits: DataLimits): asserts value is Json {
  const fault = guarded(() => findFault(value, limits));
  if (fault !== undefined) throw faultError(fault);
}

/**
 * Nothing, where the text is within so many bytes of UTF-8.
 *
 * @throws {AgentRuntimeError} PAYLOAD_TOO_LARGE.
 */
export function checkBytes(text: string, maxBytes: number): void {
  const bytes = Buffer.byteLength(text);
  if (bytes <= maxBytes) return;
  throw new AgentRuntimeError(
    "PAYLOAD_TOO_LARGE",
    `${bytes} bytes of JSON, and the limit is ${maxBytes}; keep large parts elsewhere and refer to them`,
  );
}

/** The value of a JSON text that this program wrote, deeply frozen. */
export function parseFrozen(text: string): Json {
  return deepFreeze(JSON.parse(text) as Json);
}

/**
 * The value itself, frozen through and through.
 *
 * What is frozen already is taken as frozen to its leaves, so that a document which shares most of
 * its parts with an earlier one costs only what is new.
 */
export function deepFreeze<T>(value: T): T {
  if (typeof value !== "object" || value === null || Object.isFrozen(value)) return value;
  if (Array.isArray(value)) {
    for (const item of value as unknown[]) if (mayHaveParts(item)) deepFreeze(item);
  } else {
    for (const key in value) if (mayHaveParts(value[key])) deepFreeze(value[key]);
  }
  // Last, so that "frozen" never holds for something whose parts are not.
  return Object.freeze(value);
}

/** Most of a document is text and numbers: asked before the call, which costs more than the look. */
function mayHaveParts(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}

function faultError(fault: Fault): AgentRuntimeError {
  const place = quote(formatPointer(fault.path), 200);
  const where = fault.path.length === 0 ? "the data" : `the data at ${place}`;
  return new AgentRuntimeError(fault.code, `${where} ${fault.why}`);
}

/** What `work` answers; what a getter or a `toJSON` of the caller throws becomes a refusal. */
function guarded<T>(work: () => T): T {
  try {
    return work();
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause);
    throw new AgentRuntimeError("INVALID_DATA", `the data cannot be read: ${message}`, { cause });
  }
}
