import type { FastifyInstance, FastifyRequest } from "fastify";
import type { JsonObject } from "../state/json.ts";
import { rollbackJson } from "../state/rollback.ts";
import { readFields } from "./body.ts";
import { definedOnly } from "../state/defined.ts";
import { scopeJson } from "./encode.ts";
import { idempotencyKeyOf } from "./headers.ts";
import type { RouteContext } from "./options.ts";
import { queryOf } from "./query.ts";
import { holdIn, rollbackIn } from "../state/request-json.ts";
import { sendJson, tellSession } from "./respond.ts";
import { scopeOf } from "./scopes.ts";

/** What operators ask of a scope as a whole: to go back, to stop, to go on. */
export function scopeOrderRoutes(app: FastifyInstance, { face, limits }: RouteContext): void {
  const config = { forOperators: true };
  app.post("/v1/scopes/:scope/rollback", { config }, async (request, reply) => {
    const asked = rollbackIn(bodyOf(request));
    const options = {
      ...asked,
      ...definedOnly({
        namespace: request.namespace,
        idempotencyKey: idempotencyKeyOf(request, asked.idempotencyKey),
      }),
    };
    const done = await face.rollback(scopeOf(request), options);
    const { namespace, states, dryRun } = done;
    const seen = dryRun
      ? []
      : states.flatMap(({ id, newVersion: version, supersededBy }) => [
          { namespace, id, version },
          ...(supersededBy === undefined ? [] : [{ namespace, id: supersededBy, version: 1n }]),
        ]);
    return sendJson(tellSession(request, reply, seen), rollbackJson(done));
  });

  app.post("/v1/scopes/:scope/hold", { config }, async (request, reply) => {
    const options = {
      ...holdIn(bodyOf(request)),
      ...definedOnly({ namespace: request.namespace }),
    };
    await face.hold(scopeOf(request), options);
    return sendJson(reply, scopeJson(await face.scope(scopeOf(request), options)));
  });

  app.post("/v1/scopes/:scope/release", { config }, async (request, reply) => {
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
    return readFields(request, limits);
  }
}
