import { ERROR_STATUS } from "../../state/errors.ts";
import { CHECK_NAMES } from "../../state/fsck.ts";
import type { JsonObject } from "../../state/json.ts";
import { anyJson, count, flag, name, object, request, text, time } from "./schema-parts.ts";
import { lifecycleSchemas } from "./lifecycle-schemas.ts";
import { taskSchemas } from "./task-schemas.ts";

/** A reference to a schema of this document. */
export function schemaRef(schema: keyof typeof schemas): JsonObject {
  return { $ref: `#/components/schemas/${schema}` };
}

const textOrNull = { type: ["string", "null"] };
const digest = { type: "string", pattern: "^[0-9a-f]{64}$" };
const patch = { type: "array", items: { $ref: "#/components/schemas/PatchOperation" } };

function listOf(item: string): JsonObject {
  const items = { type: "array", items: { $ref: `#/components/schemas/${item}` } };
  return object({ items, next: text }, ["next"]);
}

const summary = {
  namespace: text,
  id: name,
  type: text,
  scope: name,
  version: count,
  step: count,
  phase: textOrNull,
  digest,
  createdAt: time,
  updatedAt: time,
  expiresAt: { type: ["string", "null"], format: "date-time" },
};

const written = {
  namespace: text,
  id: name,
  type: text,
  scope: name,
  version: count,
  step: count,
  phase: textOrNull,
  digest,
  updatedAt: time,
  created: flag,
  replayed: flag,
};

const committed = {
  namespace: text,
  scope: name,
  step: count,
  changes: { type: "array", items: { $ref: "#/components/schemas/Written" } },
  replayed: flag,
};

const parked = {
  number: count,
  topic: text,
  messageId: text,
  namespace: text,
  group: textOrNull,
  code: text,
  detail: text,
  attempts: { type: "integer" },
  bytes: { type: "integer" },
  parkedAt: time,
  triedAt: time,
};

/** What a write may say beside its document. */
const writeFields = {
  scope: name,
  phase: text,
  actor: { type: "string", minLength: 1, maxLength: 200 },
  cause: { type: "string", minLength: 1, maxLength: 1_000 },
  expiresAt: { type: ["string", "null"], format: "date-time" },
  expectedVersion: { ...count, description: "Only at this version; 0: only if it does not exist." },
  expectedStep: { ...count, description: "Only if the scope's HEAD is at this step." },
  idempotencyKey: { type: "string", minLength: 1, maxLength: 200 },
};

const change = {
  op: { enum: ["update", "merge", "patch", "append", "delete"], default: "update" },
  id: name,
  type: text,
  data: anyJson,
  patch: { description: "A merge patch (RFC 7396) or a JSON Patch (RFC 6902)." },
  path: { type: "string", description: "JSON Pointer to the array that `append` extends." },
  items: { type: "array", items: anyJson },
  phase: text,
  expectedVersion: writeFields.expectedVersion,
  expiresAt: writeFields.expiresAt,
};

const changes = {
  type: "array",
  minItems: 1,
  maxItems: 1_000,
  items: { $ref: "#/components/schemas/ChangeRequest" },
};

const step = {
  expectedStep: writeFields.expectedStep,
  actor: writeFields.actor,
  cause: writeFields.cause,
  idempotencyKey: writeFields.idempotencyKey,
};

export const schemas = {
  Problem: object(
    {
      type: { type: "string", format: "uri" },
      title: text,
      status: { type: "integer" },
      detail: text,
      code: { enum: Object.keys(ERROR_STATUS) },
      current: { description: "The current state." },
      diff: { description: "JSON Patch from the current document to the refused one." },
      plan: { description: "What the refused rollback would have done." },
      mayHaveHappened: flag,
      retryAfterMs: { type: "number" },
      field: text,
      nearest: text,
      resumeFrom: text,
    },
    [
      "current",
      "diff",
      "plan",
      "mayHaveHappened",
      "retryAfterMs",
      "field",
      "nearest",
      "resumeFrom",
    ],
  ),
  PatchOperation: object(
    {
      op: { enum: ["add", "remove", "replace", "move", "copy", "test"] },
      path: text,
      from: text,
      value: anyJson,
    },
    ["from", "value"],
  ),
  PutState: request({ type: text, data: anyJson, ...writeFields }, ["type", "data"]),
  ChangeRequest: request(change, ["id"]),
  StepRequest: request({ changes, ...step }, ["changes"]),
  BatchRequest: request(
    {
      writes: {
        type: "array",
        maxItems: 1_000,
        items: {
          oneOf: [
            request({ ...change, ...step, scope: name, ifMatch: text }, ["id"]),
            request({ changes, ...step, scope: name }, ["changes"]),
          ],
        },
      },
    },
    ["writes"],
  ),
  Written: object(written),
  Committed: object(committed),
  BatchAnswer: object({
    items: {
      type: "array",
      items: {
        anyOf: [
          object({ status: { type: "integer" }, ...written }),
          object({ status: { type: "integer" }, ...committed }),
          { $ref: "#/components/schemas/Problem" },
        ],
      },
    },
  }),
  StateSummary: object(summary),
  State: object({ ...summary, data: anyJson }),
  StateList: listOf("StateSummary"),
  ScopeStates: listOf("State"),
  HistoryEntry: object({
    version: count,
    step: count,
    kind: { enum: ["update", "delete", "rollback", "repair"] },
    phase: textOrNull,
    actor: textOrNull,
    cause: textOrNull,
    idempotencyKey: textOrNull,
    digest,
    at: time,
    storedBytes: { type: "integer" },
    stored: { enum: ["full", "delta"] },
  }),
  History: listOf("HistoryEntry"),
  Diff: object({ id: name, from: count, to: count, patch, readable: text }),
  ScopeStatus: object({
    namespace: text,
    scope: name,
    step: count,
    rollbackStep: { type: ["string", "null"] },
    hold: flag,
    holdReason: textOrNull,
    quarantined: { type: "array", items: count },
    rollbacks: {
      type: "array",
      maxItems: 10,
      items: object({
        step: count,
        restoredStep: count,
        undoneStep: count,
        source: { enum: ["rollback", "history"] },
        reason: textOrNull,
        actor: textOrNull,
        at: time,
      }),
    },
  }),
  RollbackRequest: request(
    {
      toStep: { ...count, description: "Default: the newest good step before HEAD." },
      expectedStep: writeFields.expectedStep,
      reason: writeFields.cause,
      actor: writeFields.actor,
      idempotencyKey: writeFields.idempotencyKey,
      dryRun: { ...flag, description: "Only the plan." },
      source: { enum: ["rollback", "history"] },
    },
    [],
  ),
  HoldRequest: request({ reason: writeFields.cause, actor: writeFields.actor }, []),
  Rollback: object({
    namespace: text,
    scope: name,
    dryRun: flag,
    step: count,
    restoredStep: count,
    undoneStep: count,
    source: { enum: ["rollback", "history"] },
    quarantined: { type: "array", items: count },
    states: {
      type: "array",
      items: object(
        {
          id: name,
          type: text,
          action: { enum: ["restore", "recreate", "delete", "supersede", "keep"] },
          version: count,
          newVersion: count,
          targetVersion: count,
          phase: textOrNull,
          supersededBy: name,
        },
        ["supersededBy"],
      ),
    },
    fenced: { type: "array", items: name },
    effects: { type: "array", items: object({ task: name, key: text, doneAt: time }) },
    replayed: flag,
  }),
  Change: object(
    {
      namespace: text,
      scope: name,
      step: count,
      id: name,
      type: text,
      version: count,
      kind: { enum: ["update", "delete", "rollback", "repair"] },
      phase: textOrNull,
      data: anyJson,
      patch,
      cause: textOrNull,
      actor: textOrNull,
      digest,
      at: time,
    },
    ["data", "patch"],
  ),
  ParkedMessage: object(parked),
  ParkedDetails: object({ ...parked, body: text, encoding: { enum: ["utf8", "base64"] } }),
  ParkedPage: listOf("ParkedMessage"),
  Discarded: object({ number: count }),
  ...taskSchemas,
  ...lifecycleSchemas,
  FsckRequest: request(
    {
      scope: name,
      checks: { type: "array", items: { enum: [...CHECK_NAMES] } },
      plan: flag,
      fix: { enum: ["safe"] },
    },
    [],
  ),
  CheckStatus: object(
    {
      check: { enum: [...CHECK_NAMES] },
      status: { enum: ["passed", "failed", "could not run"] },
      reason: text,
    },
    ["reason"],
  ),
  Finding: object({
    no: count,
    check: { enum: [...CHECK_NAMES] },
    kind: { enum: ["divergent", "illegal", "unlive", "sterile"] },
    namespace: textOrNull,
    scope: textOrNull,
    id: textOrNull,
    version: { ...count, type: ["string", "null"] },
    step: { ...count, type: ["string", "null"] },
    detail: text,
    remedy: text,
    safe: { type: ["boolean", "null"] },
    foundAt: time,
    seenAt: time,
    resolvedAt: { ...time, type: ["string", "null"] },
    resolution: textOrNull,
  }),
  FsckReport: object({
    checked: { type: "integer" },
    checks: { type: "array", items: { $ref: "#/components/schemas/CheckStatus" } },
    findings: { type: "array", items: { $ref: "#/components/schemas/Finding" } },
  }),
  FsckRun: object({
    what: { enum: ["sweep", "scrub", "asked"] },
    endedAt: time,
    checked: { type: "integer" },
    checks: { type: "array", items: { $ref: "#/components/schemas/CheckStatus" } },
  }),
  Findings: object(
    {
      items: { type: "array", items: { $ref: "#/components/schemas/Finding" } },
      runs: { type: "array", items: { $ref: "#/components/schemas/FsckRun" } },
      next: text,
    },
    ["next"],
  ),
  Info: { type: "object" },
  Health: object({ status: text }),
  Readiness: object({ ready: flag }),
};
