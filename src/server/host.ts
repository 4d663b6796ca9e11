import type { FastifyRequest } from "fastify";
import { AgentRuntimeError } from "../state/errors.ts";
import { quote } from "../state/quote.ts";

/** Names of this machine alone, with or without a port. */
const LOOPBACK = /^(?:(?:[a-z0-9-]+\.)*localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d{1,5})?$/i;

/**
 * Refuses a request that was meant for another name, where no token protects the service: a web page
 * may point a name of its own at this machine and have the visitor's browser ask for it.
 */
export function checkHost(request: FastifyRequest): void {
  const { host } = request.headers;
  if (host === undefined || LOOPBACK.test(host)) return;
  throw new AgentRuntimeError(
    "FORBIDDEN",
    `without auth.tokens this service answers to names of this machine only, not to ${quote(host)}; ask for 127.0.0.1 or localhost, or set auth.tokens`,
  );
}

/**
 * Refuses a write that a page of another place has a visitor's browser send: that page cannot read the
 * answer, but what it asked for would be done.
 */
export function checkOrigin(request: FastifyRequest): void {
  const { origin, host } = request.headers;
  if (origin === undefined || request.method === "GET" || request.method === "HEAD") return;
  if (/^https?:\/\//.test(origin) && origin.replace(/^https?:\/\//, "") === host) return;
  throw new AgentRuntimeError(
    "FORBIDDEN",
    `without auth.tokens this service takes no writes from pages of ${quote(origin)}; use its own dashboard at /, or set auth.tokens`,
  );
}
