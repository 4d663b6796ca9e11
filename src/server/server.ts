import Fastify from "fastify";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { randomBytes } from "node:crypto";
import { AgentRuntimeError } from "../state/errors.ts";
import { createGate } from "./auth.ts";
import { readBodiesRaw } from "./body.ts";
import { answerBadHttp } from "./bad-http.ts";
import { drainConnections } from "./drain.ts";
import { refuseOtherMethods } from "./methods.ts";
import { DEFAULT_LIMITS } from "./options.ts";
import type { RouteContext, ServerOptions } from "./options.ts";
import { addRoutes } from "./routes.ts";
import { PROBLEM_TYPE, problemHeaders, problemOf, toRuntimeError } from "./problem.ts";

/** An id of 200 characters, each four bytes long and each byte percent-encoded. */
const MAX_PARAM_CHARS = 200 * 4 * 3;

/** What a caller may choose as its request's id; anything else is replaced. */
const REQUEST_ID = /^[\w.:-]{1,100}$/;

/**
 * The HTTP API over a state manager, ready to listen or to be injected requests.
 *
 * `close()` stops accepting, ends the watches, answers what is in flight or on its way, each with
 * `Connection: close`, and cuts what is left after `limits.closeMs`. It does not close the state manager.
 *
 * @see docs/http.md
 */
export function createServer(options: ServerOptions): FastifyInstance {
  const context: RouteContext = { ...options, limits: { ...DEFAULT_LIMITS, ...options.limits } };
  const { limits, log } = context;
  const app = Fastify({
    logger: false,
    bodyLimit: limits.bodyBytes,
    requestTimeout: limits.requestTimeoutMs,
    return503OnClosing: false,
    forceCloseConnections: "idle",
    routerOptions: { maxParamLength: MAX_PARAM_CHARS },
    genReqId: requestIds(),
    clientErrorHandler: answerBadHttp,
    frameworkErrors: (error, request, reply) =>
      void sendProblem(context, { error, request, reply }),
  });
  app.server.maxConnections = limits.connections;
  app.decorateRequest("namespace", undefined);
  app.decorateRequest("role", "reader");
  readBodiesRaw(app);
  refuseOtherMethods(app);
  addHooks(app, context);
  app.setErrorHandler((error, request, reply) => sendProblem(context, { error, request, reply }));
  app.setNotFoundHandler((request) => {
    throw new AgentRuntimeError(
      "ROUTE_NOT_FOUND",
      `there is no ${request.method} ${pathOf(request)}; /openapi.json lists what there is`,
    );
  });
  const untilDrained = drainConnections(app, limits.closeMs);
  addRoutes(app, context);
  app.addHook("preClose", untilDrained);
  log.debug({ limits }, "HTTP API built");
  return app;
}

function addHooks(app: FastifyInstance, context: RouteContext): void {
  const gate = createGate(context.auth?.tokens ?? []);
  let isClosing = false;
  app.addHook("preClose", (done) => {
    isClosing = true;
    done();
  });
  app.addHook("onRequest", (request, reply, done) => {
    reply.header("x-request-id", request.id);
    gate(request);
    done();
  });
  app.addHook("onSend", (_request, reply, payload, done) => {
    if (isClosing) reply.header("connection", "close");
    done(null, payload);
  });
  const { observe } = context;
  if (observe === undefined) return;
  app.addHook("onResponse", (request, reply, done) => {
    const route = `${request.method} ${request.routeOptions.url ?? "(unknown)"}`;
    observe(route, String(reply.statusCode), reply.elapsedTime / 1_000);
    done();
  });
}

interface Failure {
  readonly error: unknown;
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
}

function sendProblem(context: RouteContext, { error, request, reply }: Failure): FastifyReply {
  const told = toRuntimeError(error, request.id);
  if (told.status >= 500 && !told.retryable) {
    const route = request.routeOptions.url;
    context.log.error({ error, requestId: request.id, method: request.method, route }, "failed");
  }
  return reply
    .code(told.status)
    .headers(problemHeaders(told))
    .header("content-type", PROBLEM_TYPE)
    .send(JSON.stringify(problemOf(told)));
}

/** Ids that tell processes apart and cost nothing: a random part at the start, then a count. */
function requestIds(): (request: {
  headers: { [name: string]: string | string[] | undefined };
}) => string {
  const process = randomBytes(6).toString("base64url");
  let count = 0;
  return ({ headers }) => {
    const chosen = headers["x-request-id"];
    if (typeof chosen === "string" && REQUEST_ID.test(chosen)) return chosen;
    return `${process}-${(count++).toString(36)}`;
  };
}

function pathOf(request: FastifyRequest): string {
  return request.url.split("?", 1)[0]!.slice(0, 200);
}
