import { AgentRuntimeError } from "../state/errors.ts";
import type { ErrorCode } from "../state/errors.ts";
import type { Json, JsonObject } from "../state/json.ts";

export const PROBLEM_TYPE = "application/problem+json; charset=utf-8";

/** An error as RFC 9457 has it, with `code` and what else helps. */
export function problemOf(error: AgentRuntimeError): JsonObject & { readonly status: number } {
  const { mayHaveHappened, retryAfterMs, current, diff, plan, field, nearest, resumeFrom } =
    error.facts;
  const problem: Record<string, Json> & { status: number } = {
    type: `urn:agent-runtime:error:${error.code}`,
    title: titleOf(error.code),
    status: error.status,
    detail: error.message,
    code: error.code,
  };
  const facts = { mayHaveHappened, retryAfterMs, current, diff, plan, field, nearest, resumeFrom };
  for (const [name, fact] of Object.entries(facts)) if (fact !== undefined) problem[name] = fact;
  return problem;
}

/** Headers that say in HTTP's own words what the problem says. */
export function problemHeaders(error: AgentRuntimeError): Record<string, string> {
  if (error.retryable) {
    const seconds = Math.ceil((error.facts.retryAfterMs ?? 1_000) / 1_000);
    return { "retry-after": String(Math.max(1, seconds)) };
  }
  return error.code === "UNAUTHENTICATED" ? { "www-authenticate": "Bearer" } : {};
}

/**
 * Any thrown value as an error of ours: what the HTTP framework refused keeps its meaning, all else
 * is INTERNAL and tells nothing of the inside.
 */
export function toRuntimeError(thrown: unknown, requestId: string): AgentRuntimeError {
  if (thrown instanceof AgentRuntimeError) return thrown;
  const { code, statusCode } = thrown as { code?: unknown; statusCode?: unknown };
  const refusal = typeof code === "string" ? FRAMEWORK_REFUSALS[code] : undefined;
  if (refusal !== undefined) return new AgentRuntimeError(...refusal);
  if (typeof statusCode === "number" && statusCode >= 400 && statusCode < 500) {
    return new AgentRuntimeError("INVALID_REQUEST", "the request is not valid HTTP");
  }
  return new AgentRuntimeError(
    "INTERNAL",
    `an unexpected error occurred; see the service's log for request id ${requestId}`,
    { cause: thrown },
  );
}

const FRAMEWORK_REFUSALS: Readonly<Record<string, readonly [ErrorCode, string]>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: [
    "PAYLOAD_TOO_LARGE",
    "the body is larger than this service takes; send less at once",
  ],
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: [
    "INVALID_REQUEST",
    "the body has another length than Content-Length says",
  ],
  FST_ERR_CTP_INVALID_MEDIA_TYPE: [
    "UNSUPPORTED_MEDIA_TYPE",
    "Content-Type is not a media type; send application/json",
  ],
  FST_ERR_MAX_PARAM_LENGTH: ["INVALID_ID", "the name in the path has more than 200 characters"],
  FST_ERR_BAD_URL: [
    "INVALID_REQUEST",
    "the path is not percent-encoded UTF-8; encode each id with encodeURIComponent",
  ],
};

/** `VERSION_CONFLICT` → `Version conflict`. */
function titleOf(code: ErrorCode): string {
  const words = code.toLowerCase().replaceAll("_", " ");
  return words.charAt(0).toUpperCase() + words.slice(1);
}
