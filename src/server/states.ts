import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { checkFields } from "../state/nearest.ts";
import type { ReadOptions, WriteOptions } from "../state/request.ts";
import type { State } from "../state/state.ts";
import { isCut, versionSeen } from "../state/session-token.ts";
import {
  JSON_PATCH_TYPE,
  JSON_TYPE,
  MERGE_PATCH_TYPE,
  mediaTypeOf,
  readBody,
  refuseBody,
} from "./body.ts";
import { writeUnderCondition } from "./condition.ts";
import { definedOnly } from "../state/defined.ts";
import { diffJson, historyJson, pageJson, stateJson, summaryJson } from "./encode.ts";
import type { Given } from "../state/fields.ts";
import { countIn, limitIn, textIn, toObject } from "../state/fields.ts";
import { freshnessOf } from "./freshness.ts";
import { conditionOf, etagOf, hasAlready, idempotencyKeyOf, traceOf } from "./headers.ts";
import type { RouteContext, ServedBy } from "./options.ts";
import { queryOf } from "./query.ts";
import { documentIn, operationsIn, WRITE_FIELDS, writeOptionsIn } from "../state/request-json.ts";
import { sendJson, sendWritten, tellSession } from "./respond.ts";

const PUT_FIELDS = ["type", "data", ...WRITE_FIELDS];
const LIST_FIELDS = ["type", "scope", "phase", "idPrefix", "limit", "after", "consistency"];

/** `/v1/states`: one state at a time, its history and diffs, and the list of them. */
export function stateRoutes(app: FastifyInstance, context: RouteContext): void {
  const { face } = context;
  app.put("/v1/states/:id", (request, reply) => putState(context, request, reply));
  app.patch("/v1/states/:id", (request, reply) => patchState(context, request, reply));
  app.delete("/v1/states/:id", (request, reply) => deleteState(context, request, reply));
  app.get("/v1/states/:id", (request, reply) => getState(context, request, reply));

  app.get("/v1/states", async (request, reply) => {
    const query = queryOf(request, LIST_FIELDS);
    const options = definedOnly({
      ...freshnessOf(request, query),
      namespace: request.namespace,
      type: textIn(query, "type", "INVALID_TYPE"),
      scope: textIn(query, "scope", "INVALID_SCOPE"),
      phase: textIn(query, "phase", "INVALID_PHASE"),
      idPrefix: textIn(query, "idPrefix", "INVALID_ID"),
      limit: limitIn(query),
      after: textIn(query, "after", "INVALID_CURSOR"),
    });
    return sendJson(reply, pageJson(await face.list(options), summaryJson));
  });

  app.get("/v1/states/:id/history", async (request, reply) => {
    const query = queryOf(request, ["limit", "before", "consistency"]);
    const options = definedOnly({
      ...freshnessOf(request, query),
      namespace: request.namespace,
      limit: limitIn(query),
      before: countIn(query, "before", "INVALID_VERSION"),
    });
    return sendJson(reply, pageJson(await face.history(idOf(request), options), historyJson));
  });

  app.get("/v1/states/:id/diff", async (request, reply) => {
    const query = queryOf(request, ["from", "to", "consistency"]);
    const options = definedOnly({
      ...freshnessOf(request, query),
      namespace: request.namespace,
      from: countIn(query, "from", "INVALID_VERSION"),
      to: countIn(query, "to", "INVALID_VERSION"),
    });
    return sendJson(reply, diffJson(await face.diff(idOf(request), options)));
  });
}

async function putState(
  context: RouteContext,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  mediaTypeOf(request, [JSON_TYPE]);
  queryOf(request, []);
  const body = toObject(readBody(request, context.limits), "the body");
  checkFields(body, PUT_FIELDS, "the body");
  const { type, data } = documentIn(body);
  const id = idOf(request);
  const written = await writeUnderCondition(context.face, {
    id,
    condition: conditionOf(request),
    options: writeOptionsOf(request, body),
    creates: true,
    write: (options) => context.face.updateState(id, type, data, options),
  });
  return sendWritten(request, reply, written);
}

async function patchState(
  context: RouteContext,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const { face } = context;
  reply.header("accept-patch", `${MERGE_PATCH_TYPE}, ${JSON_PATCH_TYPE}`);
  const mediaType = mediaTypeOf(request, [MERGE_PATCH_TYPE, JSON_PATCH_TYPE]);
  const query = queryOf(request, WRITE_FIELDS);
  const patch = readBody(request, context.limits);
  const id = idOf(request);
  const written = await writeUnderCondition(face, {
    id,
    condition: conditionOf(request),
    options: writeOptionsOf(request, query),
    creates: false,
    write: (options) =>
      mediaType === MERGE_PATCH_TYPE
        ? face.mergeState(id, patch, options)
        : face.patchState(id, operationsIn(patch), options),
  });
  return sendWritten(request, reply, written);
}

async function deleteState(
  context: RouteContext,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  refuseBody(request);
  const id = idOf(request);
  const written = await writeUnderCondition(context.face, {
    id,
    condition: conditionOf(request),
    options: writeOptionsOf(request, queryOf(request, WRITE_FIELDS)),
    creates: false,
    write: (options) => context.face.deleteState(id, options),
  });
  return sendWritten(request, reply, written);
}

async function getState(
  context: RouteContext,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const options = readOptionsOf(request);
  const { state, servedBy } = await readState(context, idOf(request), options);
  reply.header("etag", etagOf(state.version)).header("served-by", servedBy);
  // An old version that somebody looks up says nothing about what the session must see next.
  if (options.version === undefined) tellSession(request, reply, [state]);
  if (hasAlready(request, state.version)) return reply.code(304).send();
  return sendJson(reply, stateJson(state));
}

async function readState(
  { face, readState: read }: RouteContext,
  id: string,
  options: ReadOptions,
): Promise<{ readonly state: State; readonly servedBy: ServedBy }> {
  if (read !== undefined) return await read(id, options);
  return { state: await face.getState(id, options), servedBy: "main" };
}

function readOptionsOf(request: FastifyRequest): ReadOptions {
  const query = queryOf(request, ["version", "consistency", "minVersion"]);
  const { consistency = "session", session = [] } = freshnessOf(request, query);
  const asked = countIn(query, "minVersion", "INVALID_VERSION");
  const seen = consistency === "eventual" ? undefined : versionSeen(session, keyOf(request));
  const isUnknown = seen === undefined && isCut(session) && consistency === "session";
  return definedOnly({
    namespace: request.namespace,
    version: countIn(query, "version", "INVALID_VERSION"),
    consistency: isUnknown ? "strong" : consistency,
    minVersion: seen === undefined || (asked !== undefined && asked > seen) ? asked : seen,
  });
}

function writeOptionsOf(request: FastifyRequest, given: Given): WriteOptions {
  const options = writeOptionsIn(given);
  const idempotencyKey = idempotencyKeyOf(request, options.idempotencyKey);
  return {
    ...options,
    ...definedOnly({ namespace: request.namespace, idempotencyKey }),
    ...traceOf(request),
  };
}

function keyOf(request: FastifyRequest): { readonly namespace: string; readonly id: string } {
  return { namespace: request.namespace ?? "default", id: idOf(request) };
}

function idOf(request: FastifyRequest): string {
  return (request.params as { readonly id: string }).id;
}
