/// <reference lib="es2024.string" />
import { AgentRuntimeError } from "./errors.ts";
import { checkBytes, checkData } from "./json-check.ts";
import type { DataLimits } from "./json-check.ts";
import { findTextFault } from "./json-scan.ts";
import type { Json } from "./json.ts";

/**
 * The value of a JSON text that somebody sent, nothing in it lost or bent.
 *
 * Refused beside wrong syntax: a field given twice in one object, `__proto__`, NUL, halves of
 * surrogate pairs, integers beyond 2^53-1, more bytes or levels than the limits. Levels count from
 * the outermost value; where the text is an envelope, `checkData` is for the part that is kept.
 *
 * @throws {AgentRuntimeError} INVALID_JSON with line and column, INVALID_DATA with the JSON Pointer,
 * or PAYLOAD_TOO_LARGE.
 */
export function parseJsonText(text: string, limits: DataLimits): Json {
  if (text.length * 3 > limits.dataBytes) checkBytes(text, limits.dataBytes);
  if (!text.isWellFormed()) {
    throw invalidJson("the text holds half of a surrogate pair: it was not UTF-8, or was cut");
  }
  const value = parsed(text);
  checkData(value, limits);
  if (mayRepeatField(text, value)) refuseFault(text);
  return value;
}

function parsed(text: string): Json {
  try {
    return JSON.parse(text) as Json;
  } catch (cause) {
    refuseFault(text);
    throw invalidJson(String(cause));
  }
}

/**
 * Whether the text has more names than the value has fields.
 *
 * Every name ends in a quote before a colon. A few other quotes do as well, so this is a screen: it
 * may cry in vain, but misses nothing.
 */
function mayRepeatField(text: string, value: Json): boolean {
  let names = 0;
  for (const _ of text.matchAll(/"[ \t\n\r]*:/g)) names++;
  return names !== fieldCount(value);
}

function fieldCount(value: Json): number {
  if (typeof value !== "object" || value === null) return 0;
  const items: Json[] = Object.values(value);
  let count = Array.isArray(value) ? 0 : items.length;
  for (const item of items) count += fieldCount(item);
  return count;
}

function refuseFault(text: string): void {
  const fault = findTextFault(text);
  if (fault === undefined) return;
  const before = text.slice(0, fault.at).split("\n");
  const place = `line ${before.length}, column ${before.at(-1)!.length + 1}`;
  throw invalidJson(`${place}: ${fault.why}`);
}

function invalidJson(why: string): AgentRuntimeError {
  return new AgentRuntimeError("INVALID_JSON", `the text is not valid JSON: ${why}`);
}
