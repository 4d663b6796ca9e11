import type { JsonObject } from "../../state/json.ts";
import {
  AFTER,
  answers,
  body,
  CONSISTENCY,
  countQuery,
  header,
  IDEMPOTENCY,
  json,
  LIMIT,
  NAMESPACE,
  path,
  query,
  SESSION,
} from "./parts.ts";

const SCOPE = path("scope", "The name of the scope, percent-encoded.");

/** `/v1/scopes` and below, and `/v1/watch`. */
export const scopePaths: JsonObject = {
  "/v1/scopes/{scope}": {
    parameters: [SCOPE],
    get: {
      operationId: "getScope",
      summary: "Where a scope stands",
      parameters: [CONSISTENCY, SESSION, NAMESPACE],
      responses: answers({ 200: json("Its HEAD and more.", "ScopeStatus") }),
    },
  },
  "/v1/scopes/{scope}/states": {
    parameters: [SCOPE],
    get: {
      operationId: "getScopeStates",
      summary: "The states of a scope as they were right after a step",
      parameters: [
        countQuery("step", "Unsaid: as they are."),
        LIMIT,
        AFTER,
        CONSISTENCY,
        SESSION,
        NAMESPACE,
      ],
      responses: answers({ 200: json("One page, by id.", "ScopeStates") }),
    },
  },
  "/v1/scopes/{scope}/steps": {
    parameters: [SCOPE],
    post: {
      operationId: "commitStep",
      summary: "Commit changes, all or none, as one step",
      parameters: [IDEMPOTENCY, SESSION, NAMESPACE],
      requestBody: body("StepRequest"),
      responses: answers({ 200: json("The step.", "Committed", ["Session-Token"]) }),
    },
  },
  "/v1/scopes/{scope}/rollback": {
    parameters: [SCOPE],
    post: {
      operationId: "rollbackScope",
      summary: "Go back to an earlier step by appending one that restores it",
      parameters: [IDEMPOTENCY, SESSION, NAMESPACE],
      requestBody: { ...body("RollbackRequest"), required: false },
      responses: answers({
        200: json("What was done, or would be done.", "Rollback", ["Session-Token"]),
      }),
    },
  },
  "/v1/scopes/{scope}/hold": {
    parameters: [SCOPE],
    post: {
      operationId: "holdScope",
      summary: "Put a scope on hold: no writes until it is released",
      parameters: [NAMESPACE],
      requestBody: { ...body("HoldRequest"), required: false },
      responses: answers({ 200: json("Where it stands.", "ScopeStatus") }),
    },
  },
  "/v1/scopes/{scope}/release": {
    parameters: [SCOPE],
    post: {
      operationId: "releaseScope",
      summary: "Release a scope that is on hold",
      parameters: [NAMESPACE],
      requestBody: { ...body("HoldRequest"), required: false },
      responses: answers({ 200: json("Where it stands.", "ScopeStatus") }),
    },
  },
  "/v1/watch": {
    get: {
      operationId: "watch",
      summary: "Every change as a server-sent event",
      description:
        "`event: change` with the cursor as its id and a Change as its data; `event: gap` with `{resumeFrom}`; `event: error` with a Problem, then the end; a comment every 15 s.",
      parameters: [
        query("scope", "Only this scope."),
        query("id", "Only this state."),
        query("type", "Only this type."),
        query("after", "Resume after this cursor; `0`: from the oldest change that is kept."),
        query("data", "`false` leaves the documents out.", { enum: ["true", "false"] }),
        header("Last-Event-ID", "As `after`, and stronger."),
        NAMESPACE,
      ],
      responses: answers({
        200: {
          description: "The stream.",
          content: { "text/event-stream": { schema: { type: "string" } } },
        },
      }),
    },
  },
};
