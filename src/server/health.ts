import type { FastifyInstance } from "fastify";
import type { Readiness, RouteContext } from "./options.ts";
import { sendJson } from "./respond.ts";

const PROMETHEUS_TYPE = "text/plain; version=0.0.4; charset=utf-8";

/** `/healthz` (the process lives), `/readyz` (it may be sent requests) and `/metrics`. */
export function healthRoutes(app: FastifyInstance, context: RouteContext): void {
  const { ready, renderMetrics } = context;
  app.get("/healthz", async (_request, reply) => sendJson(reply, { status: "ok" }));

  let isStopping = false;
  app.addHook("preClose", (done) => {
    isStopping = true;
    done();
  });
  // It needs no token: however many ask at once, main is asked by one of them.
  let asking: Promise<Readiness> | undefined;
  const askOnce = (): Promise<Readiness> =>
    (asking ??= Promise.resolve(ready()).finally(() => (asking = undefined)));
  app.get("/readyz", async (_request, reply) => {
    const readiness = isStopping ? { ready: false, service: "stopping" } : await askOnce();
    if (!readiness.ready) reply.code(503).header("retry-after", "1");
    return sendJson(reply, readiness);
  });

  if (renderMetrics === undefined) return;
  app.get("/metrics", async (_request, reply) =>
    reply.header("content-type", PROMETHEUS_TYPE).send(await renderMetrics()),
  );
}
