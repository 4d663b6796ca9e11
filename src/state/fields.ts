import { AgentRuntimeError } from "./errors.ts";
import type { ErrorCode } from "./errors.ts";
import type { Json, JsonObject } from "./json.ts";
import { parseVersion } from "./identifiers.ts";
import { quote } from "./quote.ts";

/** Fields of a body or a query, not yet known to be what they should. */
export type Given = { readonly [field: string]: Json | undefined };

/** The text in a field; undefined where it is left out. */
export function textIn(given: Given, field: string, code: ErrorCode): string | undefined {
  const value = given[field];
  if (value === undefined || typeof value === "string") return value;
  throw refused(code, field, "must be text");
}

/** The version or step in a field, as decimal text; undefined where it is left out. */
export function countIn(
  given: Given,
  field: string,
  code: "INVALID_VERSION" | "INVALID_STEP",
): bigint | undefined {
  const value = given[field];
  return value === undefined ? undefined : parseVersion(value, code, field);
}

/** How many items a page may have; the state manager knows the most there can be. */
export function limitIn(given: Given): number | undefined {
  const value = given["limit"];
  if (value === undefined) return undefined;
  if (typeof value === "string" && /^[0-9]{1,9}$/.test(value)) return Number(value);
  throw refused("INVALID_LIMIT", "limit", "must be a whole number from 1 up");
}

const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[+-]\d\d:\d\d)$/;

/** An ISO 8601 time with its zone; undefined where the text is none. */
export function parseTime(text: string): Date | undefined {
  const date = new Date(TIME.test(text) ? text : NaN);
  return Number.isNaN(date.getTime()) ? undefined : date;
}

const FIRST_TIME = Date.parse("0001-01-01T00:00:00Z");
const LAST_TIME = Date.parse("9999-12-31T23:59:59.999Z");

/** Whether it can be kept: of others PostgreSQL refuses some, and with one all that shares its call. */
export function isTime(value: unknown): value is Date {
  return value instanceof Date && value.getTime() >= FIRST_TIME && value.getTime() <= LAST_TIME;
}

/** A time, or null where an earlier one is taken back (`null` in a body, `null` in a query). */
export function timeIn(given: Given, field: string): Date | null | undefined {
  const value = given[field];
  if (value === undefined) return undefined;
  if (value === null || value === "null") return null;
  const date = typeof value === "string" ? parseTime(value) : undefined;
  if (date !== undefined) return date;
  throw refused("INVALID_REQUEST", field, "must be a time like 2030-01-31T12:00:00Z, or null");
}

/** `true` or `false` in a query. */
export function flagIn(given: Given, field: string): boolean | undefined {
  const value = given[field];
  if (value === undefined) return undefined;
  if (value === "true" || value === "false") return value === "true";
  throw refused("INVALID_REQUEST", field, "must be true or false");
}

/** True or false, as a value. */
export function switchIn(given: Given, field: string): boolean | undefined {
  const value = given[field];
  if (value === undefined || typeof value === "boolean") return value;
  throw refused("INVALID_REQUEST", field, "must be true or false");
}

/** One of some words. */
export function wordIn<Word extends string>(
  given: Given,
  field: string,
  words: readonly Word[],
): Word | undefined {
  const value = given[field];
  if (value === undefined) return undefined;
  const word = words.find((known) => known === value);
  if (word !== undefined) return word;
  throw refused("INVALID_REQUEST", field, `must be one of ${words.join(", ")}`);
}

/** The array in a field that must be there. */
export function arrayIn(given: Given, field: string, code: ErrorCode): readonly Json[] {
  const value = given[field];
  if (Array.isArray(value)) return value as readonly Json[];
  throw refused(code, field, "must be an array");
}

/** The value as an object. */
export function toObject(value: Json, where: string): JsonObject {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) {
    return value as JsonObject;
  }
  throw new AgentRuntimeError("INVALID_REQUEST", `${where} must be a JSON object`);
}

/** The whole number that a field must be, within bounds. */
export function wholeNumber(
  value: unknown,
  field: string,
  { from, to }: { readonly from: number; readonly to: number },
): number {
  if (Number.isSafeInteger(value) && Number(value) >= from && Number(value) <= to)
    return Number(value);
  throw refused("INVALID_REQUEST", field, `must be a whole number from ${from} to ${to}`);
}

/** A refusal that names the field. */
export function refused(code: ErrorCode, field: string, must: string): AgentRuntimeError {
  return new AgentRuntimeError(code, `${quote(field)} ${must}`, { field });
}
