import type { FastifyInstance } from "fastify";
import { AgentRuntimeError } from "../state/errors.ts";
import type { BatchOutcome } from "../state/face.ts";
import type { Json, JsonObject } from "../state/json.ts";
import { checkFields } from "../state/nearest.ts";
import type { Changeset } from "../state/request.ts";
import { JSON_TYPE, mediaTypeOf, readBody } from "./body.ts";
import { definedOnly } from "../state/defined.ts";
import { committedJson, writtenJson } from "./encode.ts";
import { arrayIn, refused, toObject } from "../state/fields.ts";
import { traceOf } from "./headers.ts";
import type { RouteContext } from "./options.ts";
import { problemOf } from "./problem.ts";
import { queryOf } from "./query.ts";
import { parseBatchEntry } from "../state/request-json.ts";
import { sendJson, tellSession } from "./respond.ts";

/** `POST /v1/states:batch`: many independent writes in one request, each with its own fate. */
export function batchRoutes(app: FastifyInstance, { face, limits }: RouteContext): void {
  // Two colons: one alone would begin a parameter.
  app.post("/v1/states::batch", async (request, reply) => {
    mediaTypeOf(request, [JSON_TYPE]);
    queryOf(request, []);
    if (request.headers["idempotency-key"] !== undefined) {
      throw new AgentRuntimeError(
        "INVALID_REQUEST",
        "a batch has no idempotency key of its own; give each write an idempotencyKey",
        { field: "Idempotency-Key" },
      );
    }
    const entries = entriesOf(readBody(request, limits), limits.changesetChanges);
    const parsed = entries.map((entry) => parse(entry, request.namespace, limits.changesetChanges));
    const outcomes = await face.commitBatch(
      parsed.flatMap((one) => (one instanceof AgentRuntimeError ? [] : [one])),
      traceOf(request),
    );
    tellSession(
      request,
      reply,
      outcomes.flatMap((outcome) => (outcome.ok ? outcome.committed.changes : [])),
    );
    let at = 0;
    const items = parsed.map((one, index) =>
      one instanceof AgentRuntimeError
        ? problemOf(one)
        : outcomeJson(outcomes[at++]!, entries[index]!),
    );
    return sendJson(reply, { items });
  });
}

function entriesOf(body: Json, limit: number): readonly Json[] {
  const batch = toObject(body, "the body");
  checkFields(batch, ["writes", "items"], "the body");
  const name = batch["items"] === undefined ? "writes" : "items";
  if (name === "items" && batch["writes"] !== undefined) {
    throw refused("INVALID_REQUEST", name, `is another name of "writes"; send one of them`);
  }
  const entries = arrayIn(batch, name, "INVALID_REQUEST");
  if (entries.length <= limit) return entries;
  throw new AgentRuntimeError(
    "PAYLOAD_TOO_LARGE",
    `${entries.length} writes in one batch, and the limit is ${limit}; send several batches`,
    { field: name },
  );
}

function parse(
  entry: Json,
  namespace: string | undefined,
  limit: number,
): Changeset | AgentRuntimeError {
  try {
    return { ...parseBatchEntry(entry, limit), ...definedOnly({ namespace }) };
  } catch (error) {
    if (error instanceof AgentRuntimeError) return error;
    throw error;
  }
}

/** A single write answers as a PUT would, a changeset as a step would; both with their status. */
function outcomeJson(outcome: BatchOutcome, entry: Json): object {
  if (!outcome.ok) return problemOf(outcome.error);
  const { committed } = outcome;
  if ((entry as JsonObject)["changes"] !== undefined) {
    return { status: 200, ...committedJson(committed) };
  }
  const written = committed.changes[0]!;
  return { status: written.created ? 201 : 200, ...writtenJson(written) };
}
