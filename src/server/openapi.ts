import type { FastifyInstance } from "fastify";
import { openapiDocument } from "./openapi/document.ts";
import { sendJson } from "./respond.ts";

/** `/openapi.json`: the API, for programs. */
export function openapiRoutes(app: FastifyInstance): void {
  app.get("/openapi.json", async (_request, reply) => sendJson(reply, openapiDocument));
}
