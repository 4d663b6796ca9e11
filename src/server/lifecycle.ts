import type { FastifyInstance } from "fastify";
import { definedOnly } from "../state/defined.ts";
import { parseFacts } from "../state/lifecycle-fact.ts";
import { JSON_TYPE, mediaTypeOf, readBody } from "./body.ts";
import { traceOf } from "./headers.ts";
import type { RouteContext } from "./options.ts";
import { queryOf } from "./query.ts";
import { sendJson } from "./respond.ts";

/** `POST /v1/lifecycle/facts`: what happened to pods, from hooks, captors and reflectors. */
export function lifecycleRoutes(app: FastifyInstance, { face, limits }: RouteContext): void {
  app.post("/v1/lifecycle/facts", async (request, reply) => {
    mediaTypeOf(request, [JSON_TYPE]);
    queryOf(request, []);
    const facts = parseFacts(readBody(request, limits));
    const { namespace } = request;
    await face.lifecycle.publish(facts, { ...definedOnly({ namespace }), ...traceOf(request) });
    return sendJson(reply.code(202), { accepted: facts.length });
  });
}
