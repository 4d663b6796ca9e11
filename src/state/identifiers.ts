import { AgentRuntimeError } from "./errors.ts";
import type { ErrorCode } from "./errors.ts";
import { quote } from "./quote.ts";

/** What an id may have where no setting says otherwise. */
export const ID_CHARACTERS = 200;

/** Ids that need no second look: no white space, not "." or "..", ASCII without "/". */
const ORDINARY_ID = /^[A-Za-z0-9_-][!-.0-~]*$/;
const WORD = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
const DECIMAL = /^(?:0|[1-9]\d{0,18})$/;
const MAX_VERSION = 2n ** 63n - 1n;

interface TextRule {
  readonly code: ErrorCode;
  /** What it is, as a message names it. */
  readonly name: string;
  readonly field: string;
  readonly maxLength: number;
}

/** The id of a state: 1 to 200 characters, or as many as are said, of printable Unicode without "/". */
export function checkId(id: unknown, maxLength = ID_CHARACTERS): string {
  if (isOrdinaryKey(id, maxLength)) return id;
  return checkKey(id, { code: "INVALID_ID", name: "the id", field: "id", maxLength });
}

/** The name of a scope: as an id, for a state's id is its scope where none is given. */
export function checkScope(scope: unknown, maxLength = ID_CHARACTERS): string {
  if (isOrdinaryKey(scope, maxLength)) return scope;
  return checkKey(scope, { code: "INVALID_SCOPE", name: "the scope", field: "scope", maxLength });
}

/** The type of a state: 1 to 64 of A-Z, a-z, 0-9, ".", "_" and "-", a letter or digit first. */
export function checkType(type: unknown): string {
  return checkWord(type, { code: "INVALID_TYPE", name: "the type", field: "type" });
}

/** A namespace: 1 to 64 of A-Z, a-z, 0-9, ".", "_" and "-", a letter or digit first. */
export function checkNamespace(namespace: unknown): string {
  const rule = { code: "INVALID_NAMESPACE", name: "the namespace", field: "namespace" } as const;
  return checkWord(namespace, rule);
}

/** A phase: as a type. Which of them a lifecycle has, the database says. */
export function checkPhase(phase: unknown): string {
  return checkWord(phase, { code: "INVALID_PHASE", name: "the phase", field: "phase" });
}

/** The beginning of ids, or the id after which a page begins: what no id holds is refused, not looked for. */
export function checkIdPart(text: unknown, code: "INVALID_ID" | "INVALID_CURSOR"): void {
  const isInvalid = code === "INVALID_ID";
  const rule = isInvalid
    ? { name: "the prefix", field: "idPrefix" }
    : { name: "the cursor", field: "after" };
  if (text === "") return;
  const bad = /[\p{Cc}\p{Cs}]/u.exec(
    checkLength(text, { code, ...rule, maxLength: ID_CHARACTERS }),
  );
  if (bad !== null) throw refused({ code, ...rule }, String(text), `it holds ${named(bad[0])}`);
}

/** Who writes: 1 to 200 characters on one line. */
export function checkActor(actor: unknown): string {
  return checkLine(actor, {
    code: "INVALID_REQUEST",
    name: "the actor",
    field: "actor",
    maxLength: 200,
  });
}

/** Why: 1 to 1,000 characters; line breaks and tabs are allowed. */
export function checkCause(cause: unknown): string {
  const rule = {
    code: "INVALID_REQUEST",
    name: "the cause",
    field: "cause",
    maxLength: 1_000,
  } as const;
  const text = checkLength(cause, rule);
  const bad = /(?![\n\r\t])\p{Cc}|\p{Cs}/u.exec(text);
  if (bad !== null) throw refused(rule, text, `it holds ${named(bad[0])}`);
  return text;
}

/** An idempotency key: 1 to 200 characters on one line. */
export function checkIdempotencyKey(key: unknown): string {
  return checkLine(key, {
    code: "INVALID_REQUEST",
    name: "the idempotency key",
    field: "idempotencyKey",
    maxLength: 200,
  });
}

/**
 * A version or step, 0 to 2^63-1, of its decimal text or of a bigint. Numbers are refused: they
 * lose digits beyond 2^53.
 */
export function parseVersion(
  version: unknown,
  code: "INVALID_VERSION" | "INVALID_STEP",
  field?: string,
): bigint {
  const isText = typeof version === "string" && DECIMAL.test(version);
  const value = isText ? BigInt(version) : version;
  if (typeof value === "bigint" && value >= 0n && value <= MAX_VERSION) return value;
  const what = code === "INVALID_STEP" ? "a step" : "a version";
  const digits = `decimal digits as text, "0" to "${MAX_VERSION}"`;
  if (field === undefined) {
    throw new AgentRuntimeError(code, `${shown(version)} is not ${what}: give ${digits}`);
  }
  const message = `${quote(field)} must be ${digits}, not ${shown(version)}`;
  throw new AgentRuntimeError(code, message, { field });
}

function isOrdinaryKey(key: unknown, maxLength: number): key is string {
  return typeof key === "string" && key.length <= maxLength && ORDINARY_ID.test(key);
}

function checkWord(word: unknown, rule: Omit<TextRule, "maxLength">): string {
  if (typeof word === "string" && WORD.test(word)) return word;
  const text = checkLength(word, { ...rule, maxLength: 64 });
  throw refused(rule, text, `it may hold A-Z a-z 0-9 . _ - and starts with a letter or a digit`);
}

function checkKey(key: unknown, rule: TextRule): string {
  const text = checkLine(key, rule);
  if (text.includes("/")) throw refused(rule, text, `it may not hold "/"; use ":" or "."`);
  if (text === "." || text === "..") throw refused(rule, text, "no address can hold it");
  return text;
}

/** One line of printable text, that shows something and nothing else than it is. */
function checkLine(value: unknown, rule: TextRule): string {
  const text = checkLength(value, rule);
  const bad = /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\p{Bidi_Control}\p{Noncharacter_Code_Point}]/u.exec(text);
  if (bad !== null) throw refused(rule, text, `it holds ${named(bad[0])}`);
  if (text.trim() !== text) throw refused(rule, text, "it starts or ends with white space");
  const showsSomething = /(?!\p{Default_Ignorable_Code_Point})[\p{L}\p{N}\p{P}\p{S}]/u;
  if (!showsSomething.test(text)) throw refused(rule, text, "nobody could see it");
  return text;
}

function checkLength(value: unknown, rule: TextRule): string {
  const { code, name, field, maxLength } = rule;
  if (typeof value !== "string") {
    throw new AgentRuntimeError(code, `${name} is a text, not ${shown(value)}`, { field });
  }
  if (value === "") throw new AgentRuntimeError(code, `${name} is empty`, { field });
  // A character is two UTF-16 units at most: what is much too long is not taken apart to be counted.
  const isLong = value.length > maxLength * 2 || Array.from(value).length > maxLength;
  if (isLong) throw refused(rule, value, `it may have ${maxLength} characters`);
  return value;
}

function refused(rule: Omit<TextRule, "maxLength">, text: string, why: string): AgentRuntimeError {
  const { code, name, field } = rule;
  return new AgentRuntimeError(code, `${name} ${quote(text)} is not allowed: ${why}`, { field });
}

function named(character: string): string {
  const hex = character.codePointAt(0)!.toString(16).toUpperCase().padStart(4, "0");
  return `the character U+${hex}, which cannot be printed`;
}

function shown(value: unknown): string {
  if (typeof value === "string") return quote(value);
  if (typeof value === "number" || typeof value === "bigint") return `the number ${value}`;
  if (value === null || value === undefined) return String(value);
  return Array.isArray(value) ? "an array" : `a value of type ${typeof value}`;
}
