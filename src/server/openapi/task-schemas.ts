import { PREEMPTS } from "../../state/task.ts";
import { anyJson, count, flag, name, object, request, text, time } from "./schema-parts.ts";

const whole = { type: "integer" };
const ms = { type: "integer", minimum: 0 };
const names = { type: "array", items: name };
const cause = { type: "string", minLength: 1, maxLength: 1_000 };
const actor = { type: "string", minLength: 1, maxLength: 200 };

const task = {
  namespace: text,
  id: name,
  stack: name,
  kind: text,
  phase: text,
  seq: { ...count, type: ["string", "null"] },
  priority: whole,
  depth: whole,
  parent: name,
  preempt: { enum: [...PREEMPTS] },
  epoch: count,
  attempt: whole,
  input: anyJson,
  resumePoint: anyJson,
  results: { type: "array", items: { type: "object" } },
  result: anyJson,
  error: anyJson,
  wait: anyJson,
  lease: object({ worker: name, until: time, since: time }, ["since"]),
  runAt: time,
  deadline: time,
  supersedes: name,
  createdAt: time,
};

const OPTIONAL = [
  "parent",
  "resumePoint",
  "result",
  "error",
  "wait",
  "lease",
  "runAt",
  "deadline",
  "supersedes",
];

const next = { worker: name, incarnation: name, stacks: names, kinds: names, limit: whole };
const NEXT_NEEDS = ["worker", "incarnation"];

const report = { epoch: count, resumePoint: anyJson, next: request(next, NEXT_NEEDS) };

const tasks = { type: "array", items: { $ref: "#/components/schemas/Task" } };

/** The schemas of tasks. */
export const taskSchemas = {
  Task: object(task, OPTIONAL),
  TaskDetails: object(
    {
      ...task,
      children: { type: "array", items: object({ id: name, phase: text }) },
      effects: { type: "array", items: { type: "object" } },
    },
    OPTIONAL,
  ),
  Stack: object({ stack: name, items: tasks }),
  Claimed: object({ tasks }),
  Reported: object({
    id: name,
    phase: text,
    wanted: { enum: ["cancel", "suspended", null] },
    replayed: flag,
    tasks,
  }),
  CanceledTasks: object({ items: { type: "array", items: object({ id: name, phase: text }) } }),
  Heartbeat: object({
    leaseUntil: time,
    leaseMs: ms,
    cancel: names,
    preempt: names,
    fenced: names,
  }),
  EffectState: object({ standing: { enum: ["begun", "done", "in_doubt"] }, receipt: anyJson }),
  PushRequest: request(
    {
      id: name,
      kind: text,
      input: anyJson,
      priority: whole,
      runAt: time,
      delayMs: ms,
      preempt: task.preempt,
      parent: name,
      parentEpoch: count,
      deadline: time,
      retry: request(
        { maxAttempts: { type: "integer", minimum: 1 }, backoffMs: ms, maxBackoffMs: ms },
        [],
      ),
      supersedes: name,
      actor,
      idempotencyKey: actor,
    },
    [],
  ),
  ClaimRequest: request({ ...next, waitMs: { ...ms, maximum: 60_000 } }, NEXT_NEEDS),
  HeartbeatRequest: request({ incarnation: name }, ["incarnation"]),
  HolderReport: request(report, ["epoch"]),
  CompleteReport: request({ ...report, result: anyJson }, ["epoch"]),
  FailReport: request({ ...report, error: anyJson, retry: flag, retryAfterMs: ms }, [
    "epoch",
    "error",
  ]),
  WaitReport: request(
    {
      ...report,
      for: { enum: ["child", "timer", "event", "input", "auth"] },
      children: names,
      until: time,
      ms,
      name,
      prompt: anyJson,
      timeoutMs: ms,
    },
    ["epoch", "for"],
  ),
  EffectReport: request({ epoch: count, key: name, receipt: anyJson, again: flag }, [
    "epoch",
    "key",
  ]),
  TaskOrder: request({ reason: cause, actor }, []),
  TaskAnswer: request({ input: anyJson, event: name, data: anyJson, actor }, []),
};
