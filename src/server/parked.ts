import type { FastifyInstance, FastifyRequest } from "fastify";
import { definedOnly } from "../state/defined.ts";
import { AgentRuntimeError } from "../state/errors.ts";
import { limitIn, textIn } from "../state/fields.ts";
import { parkedJson } from "../state/parked-json.ts";
import { refuseBody } from "./body.ts";
import { committedJson, pageJson } from "./encode.ts";
import type { RouteContext } from "./options.ts";
import { queryOf } from "./query.ts";
import { sendJson } from "./respond.ts";

/** `/v1/parked`: messages that came in and could never be applied. */
export function parkedRoutes(app: FastifyInstance, { face }: RouteContext): void {
  const config = { forOperators: true };

  app.get("/v1/parked", async (request, reply) => {
    const query = queryOf(request, ["limit", "after"]);
    const page = definedOnly({
      namespace: request.namespace,
      limit: limitIn(query),
      after: textIn(query, "after", "INVALID_CURSOR"),
    });
    return sendJson(reply, pageJson(await face.parked.list(page), parkedJson));
  });

  app.get("/v1/parked/:number", async (request, reply) => {
    queryOf(request, []);
    return sendJson(reply, parkedJson(await face.parked.get(numberOf(request), whose(request))));
  });

  app.post("/v1/parked/:number/redrive", { config }, async (request, reply) => {
    queryOf(request, []);
    refuseBody(request);
    const done = await face.parked.redrive(numberOf(request), whose(request));
    return sendJson(reply, committedJson(done));
  });

  app.delete("/v1/parked/:number", { config }, async (request, reply) => {
    queryOf(request, []);
    refuseBody(request);
    const number = numberOf(request);
    await face.parked.discard(number, whose(request));
    return sendJson(reply, { number: String(number) });
  });
}

function whose(request: FastifyRequest): { readonly namespace?: string } {
  return definedOnly({ namespace: request.namespace });
}

function numberOf(request: FastifyRequest): bigint {
  const { number } = request.params as { readonly number: string };
  if (/^[1-9][0-9]{0,17}$/.test(number)) return BigInt(number);
  throw new AgentRuntimeError("INVALID_REQUEST", "a parked message is named by its number");
}
