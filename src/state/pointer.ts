import { AgentRuntimeError } from "./errors.ts";
import type { Json, JsonObject } from "./json.ts";
import { quote } from "./quote.ts";

/** No document is nearly as deep; a longer pointer is refused before it costs anything. */
const MAX_TOKENS = 1_000;

/**
 * The reference tokens of a JSON Pointer (RFC 6901), unescaped; none for "", the whole document.
 *
 * @throws {AgentRuntimeError} INVALID_PATCH.
 */
export function parsePointer(pointer: string): string[] {
  if (pointer === "") return [];
  if (typeof pointer !== "string") {
    throw new AgentRuntimeError("INVALID_PATCH", "a path is a JSON Pointer, which is text");
  }
  if (!pointer.startsWith("/")) {
    throw badPointer(pointer, `it starts with "/", or is "" for the whole document`);
  }
  if (/~(?![01])/.test(pointer)) {
    throw badPointer(pointer, `in it, "~" is written "~0" and "/" inside a name "~1"`);
  }
  const tokens = pointer.slice(1).split("/", MAX_TOKENS + 1);
  if (tokens.length > MAX_TOKENS) throw badPointer(pointer, `it goes ${MAX_TOKENS} levels at most`);
  return pointer.includes("~") ? tokens.map(unescapeToken) : tokens;
}

/** The JSON Pointer with these reference tokens. */
export function formatPointer(tokens: readonly string[]): string {
  return tokens.map((token) => `/${escapeToken(token)}`).join("");
}

/** A name as it stands inside a JSON Pointer. */
export function escapeToken(token: string): string {
  return token.replaceAll("~", "~0").replaceAll("/", "~1");
}

/** Whether a token names a place in an array: at most nine digits, no leading zero. */
export function isArrayIndex(token: string): boolean {
  return /^(?:0|[1-9]\d{0,8})$/.test(token);
}

/** Whether the value is a JSON object: not null, not an array. */
export function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Whether the value is a JSON array. */
export function isArray(value: Json | undefined): value is readonly Json[] {
  return Array.isArray(value);
}

/** What a value holds under one token, or undefined where it holds nothing there. */
export function childOf(value: Json, token: string): Json | undefined {
  if (isArray(value)) return isArrayIndex(token) ? value[Number(token)] : undefined;
  return isObject(value) && Object.hasOwn(value, token) ? value[token] : undefined;
}

/** What stands at these tokens, or undefined where nothing does. */
export function valueAt(document: Json, tokens: readonly string[]): Json | undefined {
  let value: Json | undefined = document;
  for (const token of tokens) {
    if (value === undefined) return undefined;
    value = childOf(value, token);
  }
  return value;
}

function unescapeToken(token: string): string {
  return token.replaceAll("~1", "/").replaceAll("~0", "~");
}

function badPointer(pointer: string, rule: string): AgentRuntimeError {
  return new AgentRuntimeError(
    "INVALID_PATCH",
    `${quote(pointer)} is not a JSON Pointer (RFC 6901): ${rule}`,
  );
}
