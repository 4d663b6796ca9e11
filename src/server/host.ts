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
