import type { FastifyInstance } from "fastify";
import { openapiDocument } from "./openapi/document.ts";
import { sendJson } from "./respond.ts";

/** `/openapi.json`, and at `/` where to find it. */
export function openapiRoutes(app: FastifyInstance): void {
  app.get("/openapi.json", async (_request, reply) => sendJson(reply, openapiDocument));
  app.get("/", async (_request, reply) =>
    sendJson(reply, {
      name: "Agent Runtime State",
      openapi: "/openapi.json",
      info: "/v1/info",
      ready: "/readyz",
      docs: "docs/http.md",
    }),
  );
}
