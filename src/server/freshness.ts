import type { FastifyRequest } from "fastify";
import type { FreshnessOptions } from "../state/request.ts";
import { definedOnly } from "../state/defined.ts";
import type { Given } from "../state/fields.ts";
import { wordIn } from "../state/fields.ts";
import { sessionOf } from "./headers.ts";

const CONSISTENCIES = ["strong", "session", "eventual"] as const;

/** How fresh a read must be that goes beyond one state: `consistency` in the query, and the session. */
export function freshnessOf(request: FastifyRequest, query: Given): FreshnessOptions {
  return definedOnly({
    consistency: wordIn(query, "consistency", CONSISTENCIES),
    session: sessionOf(request),
  });
}
