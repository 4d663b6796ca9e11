import type { FastifyInstance, FastifyRequest } from "fastify";
import { JSON_TYPE, mediaTypeOf, readBody } from "./body.ts";
import { definedOnly } from "../state/defined.ts";
import { committedJson, pageJson, scopeJson, stateJson } from "./encode.ts";
import { countIn, limitIn, textIn } from "../state/fields.ts";
import { freshnessOf } from "./freshness.ts";
import { idempotencyKeyOf, traceOf } from "./headers.ts";
import type { RouteContext } from "./options.ts";
import { queryOf } from "./query.ts";
import { parseStep } from "../state/request-json.ts";
import { sendJson, tellSession } from "./respond.ts";

/** `/v1/scopes`: where a scope stands, what was in it at a step, and the next step. */
export function scopeRoutes(app: FastifyInstance, { face, limits }: RouteContext): void {
  app.get("/v1/scopes/:scope", async (request, reply) => {
    const query = queryOf(request, ["consistency"]);
    const options = definedOnly({ ...freshnessOf(request, query), namespace: request.namespace });
    return sendJson(reply, scopeJson(await face.scope(scopeOf(request), options)));
  });

  app.get("/v1/scopes/:scope/states", async (request, reply) => {
    const query = queryOf(request, ["step", "limit", "after", "consistency"]);
    const options = definedOnly({
      ...freshnessOf(request, query),
      namespace: request.namespace,
      step: countIn(query, "step", "INVALID_STEP"),
      limit: limitIn(query),
      after: textIn(query, "after", "INVALID_CURSOR"),
    });
    const page = await face.scopeStates(scopeOf(request), options);
    return sendJson(reply, pageJson(page, stateJson));
  });

  app.post("/v1/scopes/:scope/steps", async (request, reply) => {
    mediaTypeOf(request, [JSON_TYPE]);
    queryOf(request, []);
    const step = parseStep(readBody(request, limits), limits.changesetChanges);
    const changeset = {
      ...step,
      ...definedOnly({
        namespace: request.namespace,
        idempotencyKey: idempotencyKeyOf(request, step.idempotencyKey),
      }),
      scope: scopeOf(request),
    };
    const committed = await face.commit(changeset, traceOf(request));
    return sendJson(tellSession(request, reply, committed.changes), committedJson(committed));
  });
}

/** The scope that the path names. */
export function scopeOf(request: FastifyRequest): string {
  return (request.params as { readonly scope: string }).scope;
}
