import type { FastifyRequest } from "fastify";
import { checkFields } from "../state/nearest.ts";
import { refused } from "../state/fields.ts";
import type { Given } from "../state/fields.ts";

/**
 * The query of a request.
 *
 * @throws {AgentRuntimeError} UNKNOWN_FIELD; INVALID_REQUEST where a parameter comes twice.
 */
export function queryOf(request: FastifyRequest, known: readonly string[]): Given {
  const query = request.query as Record<string, string | string[]>;
  checkFields(query, known, "the query");
  for (const [name, value] of Object.entries(query)) {
    if (typeof value !== "string") throw refused("INVALID_REQUEST", name, "came twice");
  }
  return query;
}
