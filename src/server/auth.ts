import { createHash, timingSafeEqual } from "node:crypto";
import type { FastifyRequest } from "fastify";
import { AgentRuntimeError } from "../state/errors.ts";
import { checkNamespace } from "../state/identifiers.ts";
import { checkHost, checkOrigin } from "./host.ts";
import type { AuthToken } from "./options.ts";

declare module "fastify" {
  interface FastifyRequest {
    /** The namespace this request speaks for; undefined: the default one. */
    namespace: string | undefined;
  }
  interface FastifyContextConfig {
    /** Set on routes that a token needs the role operator for. */
    forOperators?: boolean;
    /** Set on routes that need no token: they tell nothing of what is kept. */
    isOpen?: boolean;
  }
}

/** A probe has no token. */
const OPEN_PATHS: ReadonlySet<string> = new Set(["/healthz", "/readyz"]);

const READING: ReadonlySet<string> = new Set(["GET", "HEAD"]);

/**
 * A check that each request passes first: it sets the request's namespace, and throws
 * UNAUTHENTICATED or FORBIDDEN. Without tokens everybody may do all.
 */
export function createGate(tokens: readonly AuthToken[]): (request: FastifyRequest) => void {
  // Found by digest: how long a look-up takes tells nothing about a token.
  const byDigest = new Map(tokens.map((token) => [digestOf(token.token).toString("hex"), token]));
  return (request) => {
    const header = request.headers["agent-namespace"];
    const asked = header === undefined ? undefined : checkNamespace(header);
    request.namespace = asked;
    if (byDigest.size === 0) {
      checkHost(request);
      checkOrigin(request);
      return;
    }
    if (OPEN_PATHS.has(request.url) || request.routeOptions.config.isOpen === true) return;
    const token = findToken(byDigest, request.headers.authorization);
    if (token.role === "reader" && !READING.has(request.method)) {
      throw new AgentRuntimeError(
        "FORBIDDEN",
        `the token ${token.name} may only read; use one with the role writer`,
      );
    }
    // Asked of the route: a path can be written in many ways.
    if (token.role === "writer" && request.routeOptions.config.forOperators === true) {
      throw new AgentRuntimeError(
        "FORBIDDEN",
        `the token ${token.name} may not roll back, hold, release or repair; use one with the role operator`,
      );
    }
    if (token.namespace === null) return;
    if (asked !== undefined && asked !== token.namespace) {
      throw new AgentRuntimeError(
        "FORBIDDEN",
        `the token ${token.name} is for another namespace; leave Agent-Namespace out`,
      );
    }
    request.namespace = token.namespace;
  };
}

function findToken(
  byDigest: ReadonlyMap<string, AuthToken>,
  header: string | undefined,
): AuthToken {
  const given = header === undefined ? null : /^Bearer +(\S+) *$/i.exec(header);
  if (given === null) {
    throw new AgentRuntimeError("UNAUTHENTICATED", "send the header Authorization: Bearer TOKEN");
  }
  const digest = digestOf(given[1]!);
  const token = byDigest.get(digest.toString("hex"));
  if (token === undefined || !timingSafeEqual(digest, digestOf(token.token))) {
    throw new AgentRuntimeError("UNAUTHENTICATED", "this token is not known; check auth.tokens");
  }
  return token;
}

function digestOf(token: string): Buffer {
  return createHash("sha256").update(token).digest();
}
