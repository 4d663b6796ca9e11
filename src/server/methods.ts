import type { FastifyInstance, RouteOptions } from "fastify";
import { AgentRuntimeError } from "../state/errors.ts";

declare module "fastify" {
  interface FastifyContextConfig {
    /** Set on routes that only tell which methods their path takes. */
    refusesMethod?: boolean;
  }
}

const METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"] as const;

/**
 * Answers 405 with `Allow` where a path exists but not with this method.
 *
 * Called before the routes are added, for it listens to what is added.
 */
export function refuseOtherMethods(app: FastifyInstance): void {
  const allowed = new Map<string, Set<string>>();
  app.addHook("onRoute", (route: RouteOptions) => {
    if (isRefusal(route)) return;
    const methods = allowed.get(route.url) ?? new Set();
    for (const method of [route.method].flat()) methods.add(method);
    allowed.set(route.url, methods);
  });
  // When the app gets ready all routes are known, and more can still be added.
  void app.register((scope, _options, done) => {
    for (const [url, methods] of allowed) {
      const others = METHODS.filter((method) => !methods.has(method));
      const allow = [...methods].toSorted().join(", ");
      scope.route({
        method: others,
        url,
        config: { refusesMethod: true },
        handler: (request, reply) => {
          reply.header("allow", allow);
          throw new AgentRuntimeError(
            "METHOD_NOT_ALLOWED",
            `${request.method} is not allowed here; this path takes ${allow}`,
          );
        },
      });
    }
    done();
  });
}

/** Whether a route is one of those that only refuse. */
export function isRefusal(route: RouteOptions): boolean {
  return route.config?.refusesMethod === true;
}
