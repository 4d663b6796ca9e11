import { AgentRuntimeError } from "../state/errors.ts";
import {
  checkActor,
  checkCause,
  checkId,
  checkIdempotencyKey,
  checkPhase,
  checkScope,
} from "../state/identifiers.ts";
import { serializeData } from "../state/json-check.ts";
import type { DataLimits } from "../state/json-check.ts";
import type { Json } from "../state/json.ts";
import { checkChanges } from "../state/changes.ts";
import { checkAppend } from "../state/patch.ts";
import type { ChangeRequest, Changeset, WriteOptions } from "../state/request.ts";

/** Values of a query or a body; what is undefined is left out. */
type Fields = Readonly<Record<string, string | number | bigint | boolean | null | undefined>>;

/** What no service takes; its own limits are stricter and for it to tell. */
const LIMITS: DataLimits = { dataBytes: 64 * 1024 * 1024, dataDepth: 256 };

/** The path of one state. */
export function statePath(id: string): string {
  return `/v1/states/${encodeURIComponent(checkId(id))}`;
}

/** The path of one scope. */
export function scopePath(scope: string): string {
  return `/v1/scopes/${encodeURIComponent(checkScope(scope))}`;
}

/** The fields that are given, as `?a=1&b=2`, or nothing. */
export function queryOf(fields: Fields): string {
  let query = "";
  for (const [name, value] of Object.entries(fields)) {
    if (value === undefined) continue;
    query += `${query === "" ? "?" : "&"}${name}=${escapeValue(name, String(value))}`;
  }
  return query;
}

/** The options of a write whose body is a patch, or that has none. */
export function writeQuery(options: WriteOptions): string {
  return queryOf(writeFields(options));
}

/** The body that creates a state or replaces its document. */
export function updateBody(
  state: { readonly type: string; readonly data: Json },
  options: WriteOptions,
): string {
  return bodyOf({ type: state.type, ...writeFields(options) }, { data: dataText(state.data) });
}

/** A changeset as a body; its namespace travels as a header. */
export function changesetBody(changeset: Omit<Changeset, "namespace">): string {
  const changes = checkChanges(changeset);
  const envelope = { ...stepFields(changeset), expectedStep: textOf(changeset.expectedStep) };
  return bodyOf(envelope, { changes: `[${changes.map(changeBody).join()}]` });
}

/**
 * The JSON text of a document or a patch.
 *
 * @throws {AgentRuntimeError} INVALID_DATA where JSON would lose or bend something of it.
 */
export function dataText(value: unknown): string {
  return serializeData(value, LIMITS);
}

function changeBody(change: ChangeRequest): string {
  const { op, id, phase } = change;
  const envelope = { op, id, phase, expectedVersion: textOf(change.expectedVersion) };
  switch (change.op) {
    case "update": {
      const { type, expiresAt, data } = change;
      return bodyOf({ ...envelope, type, expiresAt: timeOf(expiresAt) }, { data: dataText(data) });
    }
    case "append": {
      const { path, items } = change;
      checkAppend(path, items);
      return bodyOf({ ...envelope, path }, { items: dataText(items) });
    }
    case "merge":
    case "patch":
      return bodyOf(envelope, { patch: dataText(change.patch) });
    case "delete":
      break;
  }
  return bodyOf(envelope, {});
}

/** An object of plain fields, and of documents that are JSON text already. */
function bodyOf(envelope: Fields, documents: Readonly<Record<string, string>>): string {
  let text = JSON.stringify(envelope).slice(0, -1);
  for (const [name, document] of Object.entries(documents)) {
    text += `${text === "{" ? "" : ","}"${name}":${document}`;
  }
  return `${text}}`;
}

function writeFields(options: WriteOptions): Fields {
  return {
    ...stepFields(options),
    phase: checked(options.phase, checkPhase),
    expectedVersion: textOf(options.expectedVersion),
    expectedStep: textOf(options.expectedStep),
    expiresAt: timeOf(options.expiresAt),
  };
}

/** Checked here as in the library, so that the same mistake gets the same code. */
function stepFields(step: Omit<Changeset, "changes">): Fields {
  return {
    scope: checked(step.scope, checkScope),
    actor: checked(step.actor, checkActor),
    cause: checked(step.cause, checkCause),
    idempotencyKey: checked(step.idempotencyKey, checkIdempotencyKey),
  };
}

function checked(value: unknown, check: (value: unknown) => string): string | undefined {
  return value === undefined ? undefined : check(value);
}

function textOf(number: bigint | undefined): string | undefined {
  return number === undefined ? undefined : String(number);
}

function timeOf(date: Date | null | undefined): string | null | undefined {
  if (date === null || date === undefined) return date;
  if (date instanceof Date && !Number.isNaN(date.getTime())) return date.toISOString();
  throw new AgentRuntimeError("INVALID_REQUEST", "expiresAt is not a time", { field: "expiresAt" });
}

function escapeValue(name: string, value: string): string {
  if (value.isWellFormed()) return encodeURIComponent(value);
  throw new AgentRuntimeError(
    "INVALID_REQUEST",
    `${name} contains half of a surrogate pair; split text only between characters`,
    { field: name },
  );
}
