import { AgentRuntimeError } from "./errors.ts";
import type { Json, JsonObject } from "./json.ts";
import { checkFields } from "./nearest.ts";
import type { ChangeRequest, Changeset, WriteOptions } from "./request.ts";
import { ROLLBACK_SOURCES } from "./rollback.ts";
import type { HoldOptions, RollbackOptions } from "./rollback.ts";
import type { PatchOperation } from "./state.ts";
import { definedOnly } from "./defined.ts";
import { arrayIn, countIn, refused, switchIn, textIn, timeIn, toObject, wordIn } from "./fields.ts";
import type { Given } from "./fields.ts";

/** What any write may say beside its document: in the body of a PUT, in the query elsewhere. */
export const WRITE_FIELDS = [
  "scope",
  "phase",
  "actor",
  "cause",
  "expiresAt",
  "expectedVersion",
  "expectedStep",
  "idempotencyKey",
] as const;

const HOLD_FIELDS = ["reason", "actor"] as const;

const ROLLBACK_FIELDS = ["toStep", "expectedStep", "idempotencyKey", "dryRun", "source"] as const;

const OPS = ["update", "merge", "patch", "append", "delete"] as const;

const TARGET_FIELDS = ["op", "id", "phase", "expectedVersion"] as const;

/** The fields of one change, by what it does. */
const CHANGE_FIELDS: Readonly<Record<ChangeRequest["op"], readonly string[]>> = {
  update: [...TARGET_FIELDS, "type", "data", "expiresAt"],
  merge: [...TARGET_FIELDS, "patch"],
  patch: [...TARGET_FIELDS, "patch"],
  append: [...TARGET_FIELDS, "path", "items"],
  delete: TARGET_FIELDS,
};

/** What is said once a step, not once a change. */
const STEP_OWN_FIELDS = ["expectedStep", "actor", "cause", "idempotencyKey"] as const;
const STEP_FIELDS = [...STEP_OWN_FIELDS, "changes"] as const;

/** The options of a write, from the fields that `checkFields` let pass. */
export function writeOptionsIn(given: Given): WriteOptions {
  return definedOnly({
    scope: textIn(given, "scope", "INVALID_SCOPE"),
    phase: textIn(given, "phase", "INVALID_PHASE"),
    actor: textIn(given, "actor", "INVALID_REQUEST"),
    cause: textIn(given, "cause", "INVALID_REQUEST"),
    expiresAt: timeIn(given, "expiresAt"),
    expectedVersion: countIn(given, "expectedVersion", "INVALID_VERSION"),
    expectedStep: countIn(given, "expectedStep", "INVALID_STEP"),
    idempotencyKey: textIn(given, "idempotencyKey", "INVALID_REQUEST"),
  });
}

/** The type and document of a state that is written whole. */
export function documentIn(given: Given): { readonly type: string; readonly data: Json } {
  const type = textIn(given, "type", "INVALID_TYPE");
  const data = given["data"];
  if (type === undefined) throw refused("INVALID_TYPE", "type", `is missing; say one like "task"`);
  if (data === undefined) throw refused("INVALID_DATA", "data", "is missing; send the document");
  return { type, data };
}

/**
 * The body of `POST .../steps` as a changeset.
 *
 * @param limit the most changes it may have.
 */
export function parseStep(body: Json, limit: number): Changeset {
  const step = toObject(body, "the body");
  checkFields(step, STEP_FIELDS, "the body");
  return changesetIn(step, limit);
}

/**
 * One entry of a batch: a whole changeset where it has `changes`, else a single write with the
 * fields of a change and of its step side by side.
 */
export function parseBatchEntry(entry: Json, limit: number): Changeset {
  const write = toObject(entry, "each write");
  if (write["changes"] !== undefined) {
    checkFields(write, [...STEP_FIELDS, "scope"], "the write");
    return { ...changesetIn(write, limit), ...scopeIn(write) };
  }
  const change = parseChange(ifMatchIn(write), "the write", [...STEP_OWN_FIELDS, "scope"]);
  return { ...stepIn(write), ...scopeIn(write), changes: [change] };
}

/** The body of `POST .../rollback`. */
export function rollbackIn(given: Given): RollbackOptions {
  checkFields(given, [...HOLD_FIELDS, ...ROLLBACK_FIELDS], "the body");
  return definedOnly({
    toStep: countIn(given, "toStep", "INVALID_STEP"),
    expectedStep: countIn(given, "expectedStep", "INVALID_STEP"),
    ...holdIn(given, ROLLBACK_FIELDS),
    idempotencyKey: textIn(given, "idempotencyKey", "INVALID_REQUEST"),
    dryRun: switchIn(given, "dryRun"),
    source: wordIn(given, "source", ROLLBACK_SOURCES),
  });
}

/** The body of `POST .../hold` and `.../release`. */
export function holdIn(given: Given, more: readonly string[] = []): HoldOptions {
  checkFields(given, [...HOLD_FIELDS, ...more], "the body");
  return definedOnly({
    reason: textIn(given, "reason", "INVALID_REQUEST"),
    actor: textIn(given, "actor", "INVALID_REQUEST"),
  });
}

function changesetIn(step: JsonObject, limit: number): Changeset {
  const list = arrayIn(step, "changes", "INVALID_REQUEST");
  if (list.length > limit) {
    throw new AgentRuntimeError(
      "PAYLOAD_TOO_LARGE",
      `${list.length} changes in one step, and the limit is ${limit}; make several steps of them`,
      { field: "changes" },
    );
  }
  const changes = list.map((change, at) => {
    const where = `changes/${at}`;
    return parseChange(toObject(change, where), where, []);
  });
  return { ...stepIn(step), changes };
}

function stepIn(given: Given): Omit<Changeset, "changes"> {
  return definedOnly({
    expectedStep: countIn(given, "expectedStep", "INVALID_STEP"),
    actor: textIn(given, "actor", "INVALID_REQUEST"),
    cause: textIn(given, "cause", "INVALID_REQUEST"),
    idempotencyKey: textIn(given, "idempotencyKey", "INVALID_REQUEST"),
  });
}

function scopeIn(given: Given): { readonly scope?: string } {
  return definedOnly({ scope: textIn(given, "scope", "INVALID_SCOPE") });
}

/** A write that says `ifMatch`, as If-Match would, in place of `expectedVersion`. */
function ifMatchIn(write: JsonObject): JsonObject {
  const { ifMatch, ...rest } = write;
  if (ifMatch === undefined) return write;
  if (typeof ifMatch !== "string" || rest["expectedVersion"] !== undefined) {
    throw refused("INVALID_VERSION", "ifMatch", `must be a version like "7", without the other`);
  }
  return { ...rest, expectedVersion: ifMatch.replace(/^(?:W\/)?"([^"]*)"$/, "$1") };
}

function parseChange(change: JsonObject, where: string, more: readonly string[]): ChangeRequest {
  const op = wordIn(change, "op", OPS) ?? "update";
  checkFields(change, [...CHANGE_FIELDS[op], ...more], where);
  const id = textIn(change, "id", "INVALID_ID");
  if (id === undefined) throw refused("INVALID_ID", "id", "is missing");
  const target = definedOnly({
    id,
    phase: textIn(change, "phase", "INVALID_PHASE"),
    expectedVersion: countIn(change, "expectedVersion", "INVALID_VERSION"),
  });
  switch (op) {
    case "update":
      return { op, ...target, ...documentIn(change), ...expiryIn(change) };
    case "merge":
      return { op, ...target, patch: patchIn(change) };
    case "patch":
      return { op, ...target, patch: operationsIn(patchIn(change)) };
    case "append":
      return {
        op,
        ...target,
        path: pathIn(change),
        items: arrayIn(change, "items", "INVALID_PATCH"),
      };
    case "delete":
      break;
  }
  return { op, ...target };
}

/** JSON Patch operations as they came; the state manager looks at each. */
export function operationsIn(patch: Json): readonly PatchOperation[] {
  if (Array.isArray(patch)) return patch as readonly PatchOperation[];
  throw new AgentRuntimeError("INVALID_PATCH", "a JSON Patch is an array of operations");
}

function patchIn(change: JsonObject): Json {
  const patch = change["patch"];
  if (patch !== undefined) return patch;
  throw refused("INVALID_PATCH", "patch", "is missing");
}

function pathIn(change: JsonObject): string {
  const path = textIn(change, "path", "INVALID_PATCH");
  if (path !== undefined) return path;
  throw refused("INVALID_PATCH", "path", `is missing; "" is the whole document`);
}

function expiryIn(change: JsonObject): { readonly expiresAt?: Date | null } {
  return definedOnly({ expiresAt: timeIn(change, "expiresAt") });
}
