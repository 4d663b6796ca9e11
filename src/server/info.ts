import type { FastifyInstance } from "fastify";
import type { RouteContext } from "./options.ts";
import { queryOf } from "./query.ts";
import { sendJson } from "./respond.ts";

/** `GET /v1/info`: the version, and what each part runs on. */
export function infoRoutes(app: FastifyInstance, { info }: RouteContext): void {
  app.get("/v1/info", async (request, reply) => {
    queryOf(request, []);
    return sendJson(reply, await info());
  });
}
