import type { FastifyRequest } from "fastify";
import { AgentRuntimeError } from "../state/errors.ts";
import { checkFields } from "../state/nearest.ts";
import { refused } from "../state/fields.ts";
import type { Given } from "../state/fields.ts";

/**
 * The query of a request.
 *
 * @throws {AgentRuntimeError} UNKNOWN_FIELD; INVALID_REQUEST where a parameter comes twice, or is not UTF-8.
 */
export function queryOf(request: FastifyRequest, known: readonly string[]): Given {
  refuseBadEncoding(request.raw.url ?? "");
  const query = request.query as Record<string, string | string[]>;
  checkFields(query, known, "the query");
  for (const [name, value] of Object.entries(query)) {
    if (typeof value !== "string") throw refused("INVALID_REQUEST", name, "came twice");
  }
  return query;
}

/** What cannot be decoded would be looked for as it is written, and not found. */
function refuseBadEncoding(url: string): void {
  const at = url.indexOf("?");
  if (at < 0 || !url.includes("%", at)) return;
  try {
    decodeURIComponent(url.slice(at));
  } catch {
    throw new AgentRuntimeError(
      "INVALID_REQUEST",
      "the query is not percent-encoded UTF-8; encode each value with encodeURIComponent",
    );
  }
}
