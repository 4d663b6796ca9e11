import type { FastifyInstance, FastifyRequest } from "fastify";
import { setTimeout as sleep } from "node:timers/promises";
import { AgentRuntimeError } from "../state/errors.ts";
import type { WatchOptions } from "../state/request.ts";
import { definedOnly } from "../state/defined.ts";
import { flagIn, textIn } from "../state/fields.ts";
import type { RouteContext } from "./options.ts";
import { queryOf } from "./query.ts";
import { Watcher } from "./watcher.ts";

/** `GET /v1/watch`: every change as a server-sent event, resumable by its id. */
export function watchRoutes(app: FastifyInstance, context: RouteContext): void {
  const { limits } = context;
  const watchers = new Set<Watcher>();
  const comments = setInterval(() => {
    for (const watcher of watchers) watcher.comment();
  }, limits.watchCommentMs);
  comments.unref();

  let isStopping = false;
  app.addHook("preClose", async () => {
    isStopping = true;
    clearInterval(comments);
    const ends = Promise.all(Array.from(watchers, (watcher) => watcher.stop()));
    await Promise.race([ends, sleep(limits.closeMs, undefined, { ref: false })]);
  });

  // A HEAD request would open a stream that nobody reads.
  app.get("/v1/watch", { exposeHeadRoute: false }, async (request, reply) => {
    const options = watchOptionsOf(request);
    if (isStopping)
      throw new AgentRuntimeError("UNAVAILABLE", "this service is stopping; try again");
    if (watchers.size >= limits.watchClients) throw tooMany(limits.watchClients);
    const watcher = new Watcher(context, reply, options);
    watchers.add(watcher);
    try {
      await watcher.begin();
    } catch (error) {
      watchers.delete(watcher);
      throw error;
    }
    void watcher.run().finally(() => watchers.delete(watcher));
    return reply;
  });
}

function watchOptionsOf(request: FastifyRequest): WatchOptions {
  const query = queryOf(request, ["scope", "id", "type", "after", "data"]);
  const lastEventId = request.headers["last-event-id"]?.toString();
  return definedOnly({
    namespace: request.namespace,
    scope: textIn(query, "scope", "INVALID_SCOPE"),
    id: textIn(query, "id", "INVALID_ID"),
    type: textIn(query, "type", "INVALID_TYPE"),
    // A browser that reconnects repeats the query it began with: the header is the newer one.
    after: lastEventId || textIn(query, "after", "INVALID_CURSOR"),
    data: flagIn(query, "data"),
  });
}

function tooMany(limit: number): AgentRuntimeError {
  return new AgentRuntimeError(
    "UNAVAILABLE",
    `${limit} clients watch already, and that is the limit; try again later`,
    { retryAfterMs: 5_000 },
  );
}
