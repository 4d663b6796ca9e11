import type { FastifyInstance, FastifyRequest } from "fastify";
import type { JsonObject } from "../state/json.ts";
import { rollbackJson } from "../state/rollback.ts";
import { JSON_TYPE, mediaTypeOf, readBody } from "./body.ts";
import { definedOnly } from "./defined.ts";
import { committedJson, pageJson, scopeJson, stateJson } from "./encode.ts";
import { countIn, limitIn, textIn, toObject } from "./fields.ts";
import { freshnessOf } from "./freshness.ts";
import { idempotencyKeyOf } from "./headers.ts";
import type { RouteContext } from "./options.ts";
import { queryOf } from "./query.ts";
import { holdIn, parseStep, rollbackIn } from "./requests.ts";
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
    const committed = await face.commit({
      ...step,
      ...definedOnly({
        namespace: request.namespace,
        idempotencyKey: idempotencyKeyOf(request, step.idempotencyKey),
      }),
      scope: scopeOf(request),
    });
    return sendJson(tellSession(request, reply, committed.changes), committedJson(committed));
  });

  app.post("/v1/scopes/:scope/rollback", async (request, reply) => {
    const options = {
      ...rollbackIn(bodyOf(request)),
      ...definedOnly({ namespace: request.namespace }),
    };
    return sendJson(reply, rollbackJson(await face.rollback(scopeOf(request), options)));
  });

  app.post("/v1/scopes/:scope/hold", async (request, reply) => {
    const options = {
      ...holdIn(bodyOf(request)),
      ...definedOnly({ namespace: request.namespace }),
    };
    await face.hold(scopeOf(request), options);
    return sendJson(reply, scopeJson(await face.scope(scopeOf(request), options)));
  });

  app.post("/v1/scopes/:scope/release", async (request, reply) => {
    const options = {
      ...holdIn(bodyOf(request)),
      ...definedOnly({ namespace: request.namespace }),
    };
    await face.release(scopeOf(request), options);
    return sendJson(reply, scopeJson(await face.scope(scopeOf(request), options)));
  });

  /** An order's fields; one without any may come without a body. */
  function bodyOf(request: FastifyRequest): JsonObject {
    queryOf(request, []);
    if (request.headers["content-length"] === "0" || request.body === undefined) return {};
    mediaTypeOf(request, [JSON_TYPE]);
    return toObject(readBody(request, limits), "the body");
  }
}

function scopeOf(request: FastifyRequest): string {
  return (request.params as { readonly scope: string }).scope;
}
