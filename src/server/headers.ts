import type { FastifyRequest } from "fastify";
import { isTraced } from "../service/tracing.ts";
import { AgentRuntimeError } from "../state/errors.ts";
import { parseVersion } from "../state/identifiers.ts";
import { parseSessionToken } from "../state/session-token.ts";
import type { SessionToken } from "../state/request.ts";
import type { Version } from "../state/state.ts";

/** The condition that came in If-Match or If-None-Match. */
export type Condition =
  | { readonly kind: "none" }
  | { readonly kind: "at"; readonly version: Version }
  | { readonly kind: "exists" }
  | { readonly kind: "absent" };

/** The ETag of a version. */
export function etagOf(version: Version): string {
  return `"${version}"`;
}

/**
 * Under which condition a write may happen.
 *
 * @throws {AgentRuntimeError} INVALID_VERSION, INVALID_REQUEST.
 */
export function conditionOf(request: FastifyRequest): Condition {
  const { "if-match": match, "if-none-match": noneMatch } = request.headers;
  if (match !== undefined && noneMatch !== undefined) {
    throw new AgentRuntimeError("INVALID_REQUEST", "send If-Match or If-None-Match, not both");
  }
  if (noneMatch !== undefined) {
    if (noneMatch.trim() === "*") return { kind: "absent" };
    throw new AgentRuntimeError(
      "INVALID_REQUEST",
      "on a write, If-None-Match can only be * (create only)",
      { field: "If-None-Match" },
    );
  }
  if (match === undefined) return { kind: "none" };
  if (match.trim() === "*") return { kind: "exists" };
  return { kind: "at", version: parseEtag(match) };
}

/** The version that an ETag names: `"7"`, `W/"7"`. */
export function parseEtag(text: string): Version {
  const [, version] = /^\s*(?:W\/)?"([^"]*)"\s*$/.exec(text) ?? [];
  return parseVersion(version ?? text, "INVALID_VERSION");
}

/** Whether a reader who sent If-None-Match already has this version. */
export function hasAlready(request: FastifyRequest, version: Version): boolean {
  const header = request.headers["if-none-match"];
  if (header === undefined) return false;
  const etag = etagOf(version);
  return header
    .split(",")
    .map((one) => one.trim().replace(/^W\//, ""))
    .some((one) => one === "*" || one === etag);
}

/** The trace that this request belongs to, unless a span of this process goes on from it already. */
export function traceOf(request: FastifyRequest): { readonly traceparent?: string } {
  const { traceparent } = request.headers;
  const isContinued = typeof traceparent !== "string" || isTraced();
  return isContinued ? {} : { traceparent };
}

/** What the session that this request belongs to wrote or saw. */
export function sessionOf(request: FastifyRequest): SessionToken[] {
  const header = request.headers["session-token"];
  return header === undefined ? [] : parseSessionToken(String(header));
}

/** The idempotency key, from the header or else the body or query; both must agree. */
export function idempotencyKeyOf(
  request: FastifyRequest,
  given: string | undefined,
): string | undefined {
  const header = request.headers["idempotency-key"]?.toString();
  if (header === undefined || given === undefined || header === given) return header ?? given;
  throw new AgentRuntimeError(
    "INVALID_REQUEST",
    "the header Idempotency-Key and the field idempotencyKey differ; send one",
    { field: "idempotencyKey" },
  );
}
