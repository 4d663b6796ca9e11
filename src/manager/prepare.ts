import { AgentRuntimeError } from "../state/errors.ts";
import {
  checkActor,
  checkCause,
  checkId,
  checkIdempotencyKey,
  checkNamespace,
  checkPhase,
  checkScope,
  checkType,
} from "../state/identifiers.ts";
import { isTime } from "../state/fields.ts";
import type { Json } from "../state/json.ts";
import { checkChanges } from "../state/changes.ts";
import { serializeData } from "../state/json-check.ts";
import { checkAppend, checkPatch } from "../state/patch.ts";
import { formatPointer, parsePointer } from "../state/pointer.ts";
import type { PreparedChange, PreparedUnit } from "../state/ports.ts";
import { quote } from "../state/quote.ts";
import type {
  AppendRequest,
  ChangeRequest,
  Changeset,
  MergeRequest,
  PatchRequest,
  UpdateRequest,
  WriteOptions,
} from "../state/request.ts";
import type { PatchOperation, Step, Version } from "../state/state.ts";
import type { Limits } from "./limits.ts";

/** Room for the few characters that a delta has around what was handed in. */
const DELTA_LEVELS = 3;

const MAX_VERSION = 2n ** 63n - 1n;

/**
 * A changeset, checked and made ready for the database. Nothing is written where this throws.
 *
 * @throws {AgentRuntimeError} INVALID_*, PAYLOAD_TOO_LARGE
 */
export function prepareChangeset(
  changeset: Changeset,
  limits: Limits,
  trace: string | null = null,
): PreparedUnit {
  const changes = checkChanges(changeset);
  if (changes.length > limits.changesetChanges) {
    throw new AgentRuntimeError(
      "PAYLOAD_TOO_LARGE",
      `A changeset has at most ${limits.changesetChanges} changes, this one ${changes.length}; commit it in parts.`,
    );
  }
  const prepared = changes.map((change) => new Prepared(change, change, limits));
  checkDistinct(prepared);
  return new Unit(changeset, trace, ...prepared);
}

/** One change with the options of a call that makes just that. */
export function prepareWrite(
  change: ChangeRequest,
  options: WriteOptions,
  limits: Limits,
  trace: string | null = null,
): PreparedUnit {
  return new Unit(options, trace, new Prepared(change, options, limits));
}

/** What waits for a commit is made of classes, and its lists are no literals: batcher.ts says why. */
class Unit implements PreparedUnit {
  readonly namespace: string;
  readonly scope: string | null;
  readonly changes: readonly PreparedChange[];
  readonly expectedStep: Step | null;
  readonly actor: string | null;
  readonly cause: string | null;
  readonly idempotencyKey: string | null;
  readonly traceparent: string | null;

  constructor(
    fields: Omit<Changeset, "changes">,
    traceparent: string | null,
    ...changes: readonly PreparedChange[]
  ) {
    const { namespace, scope, actor, cause, idempotencyKey } = fields;
    this.namespace = namespace === undefined ? "default" : checkNamespace(namespace);
    this.scope = scope === undefined ? null : checkScope(scope);
    this.changes = changes;
    this.expectedStep = checkCount(fields.expectedStep, "INVALID_STEP");
    this.actor = actor === undefined ? null : checkActor(actor);
    this.cause = cause === undefined ? null : checkCause(cause);
    this.idempotencyKey = idempotencyKey === undefined ? null : checkIdempotencyKey(idempotencyKey);
    this.traceparent = traceparent;
  }
}

class Prepared implements PreparedChange {
  readonly id: string;
  readonly type: string | null;
  readonly op: PreparedChange["op"];
  readonly body: string | null;
  readonly phase: string | null;
  readonly expectedVersion: Version | null;
  readonly basedOn = null;
  readonly expiresAt: PreparedChange["expiresAt"];

  constructor(
    change: ChangeRequest,
    conditions: { readonly phase?: string; readonly expectedVersion?: Version },
    limits: Limits,
  ) {
    const { phase, expectedVersion } = conditions;
    this.id = checkId(change.id, limits.idCharacters);
    this.type = change.op === "update" ? checkType(change.type) : null;
    this.op = OPERATIONS[change.op] ?? refuseOperation(change.op);
    this.body = bodyOf(change, limits);
    this.phase = phase === undefined ? null : checkPhase(phase);
    this.expectedVersion = checkCount(expectedVersion, "INVALID_VERSION");
    this.expiresAt = change.op === "update" ? expiryOf(change) : null;
  }
}

const OPERATIONS: Readonly<Record<ChangeRequest["op"], PreparedChange["op"]>> = {
  update: "update",
  merge: "delta",
  patch: "delta",
  append: "delta",
  delete: "delete",
};

function refuseOperation(op: string): never {
  throw new AgentRuntimeError(
    "INVALID_REQUEST",
    `There is no operation ${quote(op)}; a change is one of update, merge, patch, append, delete.`,
  );
}

function bodyOf(change: ChangeRequest, limits: Limits): string | null {
  switch (change.op) {
    case "update":
      return serializeData(change.data, limits);
    case "merge":
      return mergeDelta(change, limits);
    case "patch":
      return patchDelta(change, limits);
    case "append":
      return appendDelta(change, limits);
    case "delete":
      return null;
    default:
      return refuseOperation(String((change as { op: unknown }).op));
  }
}

function mergeDelta(change: MergeRequest, limits: Limits): string {
  return `{"m":${serializeData(change.patch, limits)}}`;
}

function patchDelta(change: PatchRequest, limits: Limits): string {
  const operations = checkPatch(change.patch);
  const grown = grownArray(operations);
  if (grown !== null) {
    const [path, items] = grown;
    return appendDelta({ op: "append", id: change.id, path, items }, limits);
  }
  for (const operation of operations) {
    if ("value" in operation) checkDepthAt(operation.path, operation.value, limits);
  }
  return `{"p":${serializeData(operations, { ...limits, dataDepth: limits.dataDepth + DELTA_LEVELS })}}`;
}

function appendDelta(change: AppendRequest, limits: Limits): string {
  const levels = checkAppend(change.path, change.items);
  const items = serializeData(change.items, { ...limits, dataDepth: limits.dataDepth - levels });
  return `{"a":{${JSON.stringify(change.path)}:${items}}}`;
}

/** The array that a patch does no more than append to, and what; null where it does anything else. */
function grownArray(
  operations: readonly PatchOperation[],
): [path: string, items: PatchValue[]] | null {
  let path: string | undefined;
  const items: PatchValue[] = [];
  for (const operation of operations) {
    if (operation.op !== "add") return null;
    const tokens = parsePointer(operation.path);
    if (tokens.pop() !== "-") return null;
    const parent = formatPointer(tokens);
    if (path !== undefined && parent !== path) return null;
    path = parent;
    items.push(operation.value);
  }
  return path === undefined ? null : [path, items];
}

type PatchValue = Extract<PatchOperation, { readonly value: Json }>["value"];

function checkDepthAt(path: string, value: PatchValue, limits: Limits): void {
  const levels = parsePointer(path).length;
  serializeData(value, { ...limits, dataDepth: limits.dataDepth - levels });
}

function expiryOf(change: UpdateRequest): PreparedChange["expiresAt"] {
  if (change.expiresAt === undefined) return null;
  if (change.expiresAt === null) return "never";
  if (isTime(change.expiresAt)) return change.expiresAt;
  throw new AgentRuntimeError(
    "INVALID_REQUEST",
    "`expiresAt` is a date of the years 1 to 9999 (ISO 8601 over HTTP), or null to take it back.",
  );
}

/** A version or step that a caller names; null where it names none. What is null itself may be one that got lost. */
export function checkCount(
  value: unknown,
  code: "INVALID_VERSION" | "INVALID_STEP",
): bigint | null {
  if (value === undefined) return null;
  if (typeof value === "bigint" && value >= 0n && value <= MAX_VERSION) return value;
  throw new AgentRuntimeError(
    code,
    `An expected version or step is a bigint from 0 (must not exist) to 2^63-1, not ${typeof value === "bigint" || value === null ? value : `a ${typeof value}`}.`,
  );
}

function checkDistinct(changes: readonly PreparedChange[]): void {
  if (changes.length === 1) return;
  const seen = new Set<string>();
  for (const { id } of changes) {
    if (seen.has(id)) {
      throw new AgentRuntimeError(
        "INVALID_REQUEST",
        `"${id}" is named twice: one step does one thing to a state. Put both into one change, or commit two steps.`,
      );
    }
    seen.add(id);
  }
}
