import type { FastifyInstance, FastifyRequest } from "fastify";
import type { JsonObject } from "../state/json.ts";
import type { ClaimRequest, HolderReport, Reported } from "../state/task-face.ts";
import { heartbeatJson, reportedJson, taskDetailsJson, taskJson } from "../state/task-json.ts";
import type { Task } from "../state/task.ts";
import { JSON_TYPE, mediaTypeOf, readBody, readFields } from "./body.ts";
import { definedOnly } from "../state/defined.ts";
import { limitIn, refused, toObject } from "../state/fields.ts";
import type { Given } from "../state/fields.ts";
import { idempotencyKeyOf, traceOf } from "./headers.ts";
import { onGone } from "./gone.ts";
import type { RouteContext } from "./options.ts";
import { queryOf } from "./query.ts";
import { sendJson } from "./respond.ts";
import {
  answerIn,
  claimIn,
  completeIn,
  effectIn,
  failIn,
  incarnationIn,
  orderIn,
  pushIn,
  reportIn,
  waitIn,
} from "./task-requests.ts";

/** Proxies and clients give up on what stays silent much longer. */
const MAX_WAIT_MS = 60_000;

/** `/v1/stacks`, `/v1/tasks` and `/v1/workers`: tasks for workers in any language. */
export function taskRoutes(app: FastifyInstance, context: RouteContext): void {
  stackRoutes(app, context);
  workerRoutes(app, context);
  holderRoutes(app, context);
  visitorRoutes(app, context);
}

function stackRoutes(app: FastifyInstance, { face, limits }: RouteContext): void {
  app.post("/v1/stacks/:stack/tasks", async (request, reply) => {
    const push = pushIn(bodyOf(request, { limits }));
    const task = await face.tasks.push(stackOf(request), {
      ...push,
      ...definedOnly({
        namespace: request.namespace,
        idempotencyKey: idempotencyKeyOf(request, push.idempotencyKey),
      }),
      ...traceOf(request),
    });
    return sendJson(reply.code(201), taskJson(task));
  });

  app.get("/v1/stacks/:stack", async (request, reply) => {
    const query = queryOf(request, ["limit"]);
    const options = definedOnly({ namespace: request.namespace, limit: limitIn(query) });
    const stack = stackOf(request);
    const tasks = await face.tasks.stack(stack, options);
    return sendJson(reply, { stack, items: tasks.map(taskJson) });
  });
}

function workerRoutes(app: FastifyInstance, { face, limits }: RouteContext): void {
  const closing = new AbortController();
  app.addHook("preClose", (done) => {
    closing.abort();
    done();
  });

  app.post("/v1/tasks::claim", async (request, reply) => {
    const asked = claimIn(bodyOf(request, { limits }));
    if ((asked.waitMs ?? 0) > MAX_WAIT_MS) {
      throw refused(
        "INVALID_REQUEST",
        "waitMs",
        `may be ${MAX_WAIT_MS} at most; claim again after it`,
      );
    }
    const gone = new AbortController();
    onGone(reply.raw, () => gone.abort());
    const signal = AbortSignal.any([gone.signal, closing.signal]);
    const claim: ClaimRequest = { ...asked, ...inNamespace(request), signal };
    const tasks = await face.tasks.claim(claim);
    // Nobody is there to be told of them: others need not wait until their lease ends.
    if (gone.signal.aborted) await Promise.all(tasks.map(giveBack));
    return sendJson(reply, { tasks: tasks.map(taskJson) });
  });

  async function giveBack({ id, epoch, namespace }: Task): Promise<void> {
    await face.tasks.release(id, { epoch, namespace }).catch(() => undefined);
  }

  app.post("/v1/workers/:worker/heartbeat", async (request, reply) => {
    const { worker } = request.params as { readonly worker: string };
    const incarnation = incarnationIn(bodyOf(request, { limits }));
    const beat = await face.tasks.heartbeat(worker, { incarnation, ...inNamespace(request) });
    return sendJson(reply, heartbeatJson(beat));
  });
}

function holderRoutes(app: FastifyInstance, { face, limits }: RouteContext): void {
  const { tasks } = face;
  const report = <Report extends HolderReport>(
    kind: string,
    read: (given: Given) => Report,
    tell: (id: string, report: Report) => Promise<Reported>,
  ): void => {
    app.post(`/v1/tasks/:id/${kind}`, async (request, reply) => {
      const given = { ...read(bodyOf(request, { limits })), ...inNamespace(request) };
      return sendJson(reply, reportedJson(await tell(idOf(request), given)));
    });
  };
  report("checkpoint", reportIn, (id, given) => tasks.checkpoint(id, given));
  report("suspend", reportIn, (id, given) => tasks.suspend(id, given));
  report("release", reportIn, (id, given) => tasks.release(id, given));
  report("complete", completeIn, (id, given) => tasks.complete(id, given));
  report("fail", failIn, (id, given) => tasks.fail(id, given));
  report("reject", failIn, (id, given) => tasks.reject(id, given));
  report("wait", waitIn, (id, given) => tasks.wait(id, given));

  app.post("/v1/tasks/:id/effects", async (request, reply) => {
    const effect = { ...effectIn(bodyOf(request, { limits })), ...inNamespace(request) };
    return sendJson(reply, await tasks.effect(idOf(request), effect));
  });
}

/** What anybody may ask who may write, or read. */
function visitorRoutes(app: FastifyInstance, { face, limits }: RouteContext): void {
  app.get("/v1/tasks/:id", async (request, reply) => {
    queryOf(request, []);
    const task = await face.tasks.get(idOf(request), inNamespace(request));
    return sendJson(reply, taskDetailsJson(task));
  });

  app.post("/v1/tasks/:id/cancel", async (request, reply) => {
    const order = orderIn(bodyOf(request, { limits, mayBeEmpty: true }));
    const items = await face.tasks.cancel(idOf(request), { ...order, ...inNamespace(request) });
    return sendJson(reply, { items });
  });

  app.post("/v1/tasks/:id/input", async (request, reply) => {
    const answer = { ...answerIn(bodyOf(request, { limits })), ...inNamespace(request) };
    return sendJson(reply, reportedJson(await face.tasks.answer(idOf(request), answer)));
  });

  app.post("/v1/tasks/:id/retry", async (request, reply) => {
    const order = orderIn(bodyOf(request, { limits, mayBeEmpty: true }));
    const told = await face.tasks.retry(idOf(request), { ...order, ...inNamespace(request) });
    return sendJson(reply, reportedJson(told));
  });
}

function bodyOf(
  request: FastifyRequest,
  { limits, mayBeEmpty = false }: Pick<RouteContext, "limits"> & { readonly mayBeEmpty?: boolean },
): JsonObject {
  queryOf(request, []);
  if (mayBeEmpty) return readFields(request, limits);
  mediaTypeOf(request, [JSON_TYPE]);
  return toObject(readBody(request, limits), "the body");
}

function inNamespace({ namespace }: FastifyRequest): { readonly namespace?: string } {
  return definedOnly({ namespace });
}

function idOf(request: FastifyRequest): string {
  return (request.params as { readonly id: string }).id;
}

function stackOf(request: FastifyRequest): string {
  return (request.params as { readonly stack: string }).stack;
}
