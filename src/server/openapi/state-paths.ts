import type { JsonObject } from "../../state/json.ts";
import {
  AFTER,
  answers,
  body,
  CONSISTENCY,
  countQuery,
  empty,
  IDEMPOTENCY,
  IF_MATCH,
  IF_NONE_MATCH,
  json,
  LIMIT,
  NAMESPACE,
  path,
  query,
  SESSION,
  WRITE_QUERY,
  writtenAnswers,
} from "./parts.ts";
import { schemaRef } from "./schemas.ts";

const ID = path("id", "1 to 200 printable characters without `/`, percent-encoded.");
const WRITE_HEADERS = [IF_MATCH, IF_NONE_MATCH, IDEMPOTENCY, SESSION, NAMESPACE];

/** `/v1/states` and below. */
export const statePaths: JsonObject = {
  "/v1/states": {
    get: {
      operationId: "listStates",
      summary: "List states, by id",
      parameters: [
        query("type", "Only this type."),
        query("scope", "Only this scope."),
        query("phase", "Only in this phase."),
        query("idPrefix", "Only ids that start with this."),
        LIMIT,
        AFTER,
        CONSISTENCY,
        SESSION,
        NAMESPACE,
      ],
      responses: answers({ 200: json("One page.", "StateList") }),
    },
  },
  "/v1/states/{id}": {
    parameters: [ID],
    put: {
      operationId: "putState",
      summary: "Create a state or replace its document",
      parameters: WRITE_HEADERS,
      requestBody: body("PutState"),
      responses: writtenAnswers(),
    },
    patch: {
      operationId: "patchState",
      summary: "Change parts of a document",
      parameters: [...WRITE_QUERY, ...WRITE_HEADERS],
      requestBody: {
        required: true,
        content: {
          "application/merge-patch+json": { schema: { description: "RFC 7396." } },
          "application/json-patch+json": {
            schema: { type: "array", items: schemaRef("PatchOperation") },
          },
        },
      },
      responses: writtenAnswers(),
    },
    get: {
      operationId: "getState",
      summary: "Read a state",
      parameters: [
        countQuery("version", "As it was at this version."),
        CONSISTENCY,
        countQuery("minVersion", "Nothing older than this."),
        SESSION,
        header304(),
        NAMESPACE,
      ],
      responses: answers({
        200: json("The state.", "State", ["ETag", "Served-By", "Session-Token"]),
        304: empty("You have it already."),
      }),
    },
    delete: {
      operationId: "deleteState",
      summary: "Leave a tombstone, one version up",
      parameters: [...WRITE_QUERY, ...WRITE_HEADERS],
      responses: writtenAnswers(),
    },
  },
  "/v1/states/{id}/history": {
    parameters: [ID],
    get: {
      operationId: "getHistory",
      summary: "What each version did, newest first",
      parameters: [
        LIMIT,
        countQuery("before", "Only versions below this one."),
        CONSISTENCY,
        SESSION,
        NAMESPACE,
      ],
      responses: answers({ 200: json("One page.", "History") }),
    },
  },
  "/v1/states/{id}/diff": {
    parameters: [ID],
    get: {
      operationId: "getDiff",
      summary: "What changed between two versions",
      parameters: [
        countQuery("from", "Default: the one before `to`."),
        countQuery("to", "Unsaid: the current one."),
        CONSISTENCY,
        SESSION,
        NAMESPACE,
      ],
      responses: answers({ 200: json("JSON Patch and a readable form.", "Diff") }),
    },
  },
  "/v1/states:batch": {
    post: {
      operationId: "writeBatch",
      summary: "Up to 1,000 independent writes, one answer each",
      parameters: [SESSION, NAMESPACE],
      requestBody: body("BatchRequest"),
      responses: answers({
        200: json("The outcome of each, in order.", "BatchAnswer", ["Session-Token"]),
      }),
    },
  },
};

function header304(): JsonObject {
  return { ...IF_NONE_MATCH, description: 'The ETags you have, like `"7"`: then 304.' };
}
