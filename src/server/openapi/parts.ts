import type { JsonObject } from "../../state/json.ts";
import { schemaRef } from "./schemas.ts";
import type { schemas } from "./schemas.ts";

const text = { type: "string" };
const count = { type: "string", pattern: "^(0|[1-9][0-9]{0,18})$" };

/** A parameter in the query. */
export function query(name: string, description: string, schema: JsonObject = text): JsonObject {
  return { name, in: "query", description, schema };
}

/** A parameter in the query that is a version or step. */
export function countQuery(name: string, description: string): JsonObject {
  return query(name, description, count);
}

/** A header of a request. */
export function header(name: string, description: string): JsonObject {
  return { name, in: "header", description, schema: text };
}

/** A part of the path. */
export function path(name: string, description: string): JsonObject {
  const schema = { type: "string", minLength: 1, maxLength: 200 };
  return { name, in: "path", required: true, description, schema };
}

export const NAMESPACE = header(
  "Agent-Namespace",
  "The tenant; default: the token's namespace, otherwise `default`.",
);
export const SESSION = header("Session-Token", "The latest one received: reads are never older.");
export const CONSISTENCY = query("consistency", "How fresh the answer must be.", {
  enum: ["strong", "session", "eventual"],
  default: "session",
});
export const IDEMPOTENCY = header(
  "Idempotency-Key",
  "The same key with the same content returns the first result.",
);
export const IF_MATCH = header("If-Match", 'Only at this version, like `"7"`; `*`: must exist.');
export const IF_NONE_MATCH = header("If-None-Match", "`*`: only create.");
export const LIMIT = query("limit", "1 to 1,000; default 100.", {
  type: "integer",
  minimum: 1,
  maximum: 1_000,
});
export const AFTER = query("after", "`next` of the page before.");

/** The parameters of a write whose body has no room for them. */
export const WRITE_QUERY: readonly JsonObject[] = [
  query("scope", "The scope the state is in."),
  query("phase", "The phase it enters."),
  query("actor", "Who writes."),
  query("cause", "Why."),
  query("expiresAt", "When the state deletes itself."),
  countQuery("expectedVersion", "Only at this version; a miss is 409 instead of 412."),
  countQuery("expectedStep", "Only if the scope's HEAD is at this step."),
  query("idempotencyKey", "In place of the header."),
];

/** A JSON body. */
export function body(schema: keyof typeof schemas): JsonObject {
  return { required: true, content: { "application/json": { schema: schemaRef(schema) } } };
}

/** The answers of an operation: its own, and the problem that any may end in. */
export function answers(own: JsonObject): JsonObject {
  return {
    ...own,
    default: {
      description: "Refused or failed; `code` says why.",
      content: { "application/problem+json": { schema: schemaRef("Problem") } },
    },
  };
}

/** An answer in JSON, with the headers it carries. */
export function json(
  description: string,
  schema: keyof typeof schemas,
  headers: readonly string[] = [],
): JsonObject {
  return {
    description,
    content: { "application/json": { schema: schemaRef(schema) } },
    ...(headers.length === 0 ? {} : { headers: headersOf(headers) }),
  };
}

/** An answer without a body. */
export function empty(description: string): JsonObject {
  return { description };
}

/** The answers of a write to one state. */
export function writtenAnswers(): JsonObject {
  const headers = ["ETag", "Session-Token"];
  return answers({
    200: json("Updated.", "Written", headers),
    201: json("Created.", "Written", headers),
    412: {
      description: "The condition in If-Match or If-None-Match is not met.",
      content: { "application/problem+json": { schema: schemaRef("Problem") } },
    },
  });
}

function headersOf(names: readonly string[]): JsonObject {
  return Object.fromEntries(names.map((name) => [name, { schema: text }]));
}
