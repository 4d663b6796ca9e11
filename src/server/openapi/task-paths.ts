import type { JsonObject } from "../../state/json.ts";
import { answers, body, IDEMPOTENCY, json, LIMIT, NAMESPACE, path } from "./parts.ts";
import type { schemas } from "./schemas.ts";

const STACK = path("stack", "The name of the stack, which is a scope, percent-encoded.");
const ID = path("id", "The id of the task, percent-encoded.");
const WORKER = path("worker", "The name of the worker, percent-encoded.");

/** `/v1/stacks`, `/v1/tasks` and `/v1/workers`. */
export const taskPaths: JsonObject = {
  "/v1/stacks/{stack}/tasks": {
    parameters: [STACK],
    post: {
      operationId: "pushTask",
      summary: "Push a task: the newest runs first",
      parameters: [IDEMPOTENCY, NAMESPACE],
      requestBody: body("PushRequest"),
      responses: answers({ 201: json("The task.", "Task") }),
    },
  },
  "/v1/stacks/{stack}": {
    parameters: [STACK],
    get: {
      operationId: "getStack",
      summary: "A stack's living tasks in the order they will run, the working one first",
      parameters: [LIMIT, NAMESPACE],
      responses: answers({ 200: json("Its tasks.", "Stack") }),
    },
  },
  "/v1/tasks:claim": {
    post: {
      operationId: "claimTasks",
      summary: "Claim the next tasks, one per stack; wait for the first",
      parameters: [NAMESPACE],
      requestBody: body("ClaimRequest"),
      responses: answers({ 200: json("What was claimed.", "Claimed") }),
    },
  },
  "/v1/workers/{worker}/heartbeat": {
    parameters: [WORKER],
    post: {
      operationId: "heartbeat",
      summary: "Extend a worker's lease, for everything it holds",
      parameters: [NAMESPACE],
      requestBody: body("HeartbeatRequest"),
      responses: answers({
        200: json("Until when the lease lasts, and what the worker should do.", "Heartbeat"),
      }),
    },
  },
  "/v1/tasks/{id}": {
    parameters: [ID],
    get: {
      operationId: "getTask",
      summary: "A task with its children and effects",
      parameters: [NAMESPACE],
      responses: answers({ 200: json("The task.", "TaskDetails") }),
    },
  },
  ...report("checkpoint", "Say where it goes on; give it back where something newer came"),
  ...report("suspend", "Set it aside"),
  ...report("release", "Give it back"),
  ...report("complete", "Say that it is done", "CompleteReport"),
  ...report("fail", "Say that it failed: tried again while its policy allows", "FailReport"),
  ...report("reject", "Say that it will not be done", "FailReport"),
  ...report("wait", "Give it back until a child, a time, an event or a person", "WaitReport"),
  "/v1/tasks/{id}/effects": {
    parameters: [ID],
    post: {
      operationId: "recordEffect",
      summary: "Record an effect, before it is done (without receipt) and after",
      parameters: [NAMESPACE],
      requestBody: body("EffectReport"),
      responses: answers({ 200: json("Whether to do it.", "EffectState") }),
    },
  },
  ...visit("cancel", "Cancel it and all that it pushed", {
    takes: "TaskOrder",
    answers: "CanceledTasks",
  }),
  ...visit("input", "Give it the input that it asked for, or an event", { takes: "TaskAnswer" }),
  ...visit("retry", "Let it run again: where it is confused, or backs off", { takes: "TaskOrder" }),
};

function report(
  kind: string,
  summary: string,
  schema: keyof typeof schemas = "HolderReport",
): JsonObject {
  return {
    [`/v1/tasks/{id}/${kind}`]: {
      parameters: [ID],
      post: {
        operationId: `${kind}Task`,
        summary,
        parameters: [NAMESPACE],
        requestBody: body(schema),
        responses: answers({ 200: json("What became of it.", "Reported") }),
      },
    },
  };
}

function visit(
  kind: string,
  summary: string,
  schema: { readonly takes: keyof typeof schemas; readonly answers?: keyof typeof schemas },
): JsonObject {
  return {
    [`/v1/tasks/{id}/${kind}`]: {
      parameters: [ID],
      post: {
        operationId: `${kind}Task`,
        summary,
        parameters: [NAMESPACE],
        requestBody: { ...body(schema.takes), required: kind === "input" },
        responses: answers({ 200: json("What became of it.", schema.answers ?? "Reported") }),
      },
    },
  };
}
