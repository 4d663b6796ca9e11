import { createHash, randomUUID } from "node:crypto";
import { recordedTrace } from "../service/tracing.ts";
import { AgentRuntimeError } from "../state/errors.ts";
import { isTime, refused, wholeNumber } from "../state/fields.ts";
import {
  checkActor,
  checkCause,
  checkId,
  checkIdempotencyKey,
  checkScope,
  checkType,
} from "../state/identifiers.ts";
import { serializeData } from "../state/json-check.ts";
import type { DataLimits } from "../state/json-check.ts";
import type { Json } from "../state/json.ts";
import type {
  ClaimRequest,
  FailReport,
  HolderReport,
  PushRequest,
  TaskAnswer,
  TaskOrder,
} from "../state/task-face.ts";
import type {
  ClaimOrder,
  PreparedPush,
  PreparedReport,
  ReportKind,
  TaskEvent,
  Why,
} from "../state/task-port.ts";
import { PREEMPTS } from "../state/task.ts";
import type { RetryPolicy, Wait } from "../state/task.ts";

const MAX_PRIORITY = 1_000_000;
const MAX_ATTEMPTS = 1_000_000;
/** A hundred years. */
const MAX_MS = 100 * 365 * 86_400_000;
const MAX_BACKOFF_MS = 2 ** 31 - 1;
export const MAX_CLAIM = 1_000;
const MAX_EPOCH = 2n ** 63n - 1n;

/** A push, checked; throws INVALID_*, PAYLOAD_TOO_LARGE. */
export function preparePush(
  stack: string,
  request: PushRequest,
  settings: { readonly limits: DataLimits; readonly retry: RetryPolicy },
): PreparedPush {
  const { limits } = settings;
  const { kind, preempt = "step", parent, parentEpoch, idempotencyKey: key } = request;
  if (!PREEMPTS.includes(preempt))
    throw invalid("preempt", `must be one of ${PREEMPTS.join(", ")}`);
  if (request.runAt !== undefined && request.delayMs !== undefined) {
    throw invalid("delayMs", "and runAt say the same; give one of them");
  }
  const idempotencyKey = key === undefined ? null : checkIdempotencyKey(key);
  return {
    stack: checkScope(stack),
    id: request.id === undefined ? idFor(stack, idempotencyKey) : checkId(request.id),
    kind: kind === undefined ? "default" : checkType(kind),
    input: serializeData(request.input ?? null, limits),
    priority: wholeNumber(request.priority ?? 0, "priority", {
      from: -MAX_PRIORITY,
      to: MAX_PRIORITY,
    }),
    preempt,
    runAt: timeOrNull(request.runAt, "runAt"),
    delayMs: msOrNull(request.delayMs, "delayMs"),
    parent: parent === undefined ? null : checkId(parent),
    parentEpoch: parentEpoch === undefined ? null : checkEpoch(parentEpoch),
    deadline: timeOrNull(request.deadline, "deadline"),
    retry: prepareRetry({ ...settings.retry, ...request.retry }),
    supersedes: request.supersedes === undefined ? null : checkId(request.supersedes),
    idempotencyKey,
    traceparent: recordedTrace(request.traceparent),
  };
}

/** A claim, checked. */
export function prepareClaim(request: Omit<ClaimRequest, "waitMs">, leaseMs: number): ClaimOrder {
  const { worker, incarnation, stacks = [], kinds = [], limit = 1 } = request;
  for (const [field, list] of Object.entries({ stacks, kinds })) {
    if (!Array.isArray(list)) throw invalid(field, "must be an array");
  }
  return {
    worker: checkName(worker, "worker"),
    incarnation: checkName(incarnation, "incarnation"),
    leaseMs,
    stacks: stacks.map((stack) => checkScope(stack)),
    kinds: kinds.map((kind) => checkType(kind)),
    limit: wholeNumber(limit, "limit", { from: 1, to: MAX_CLAIM }),
  };
}

/** A worker's name, or which process of that name it is: as an id. */
export function checkName(name: unknown, field: string): string {
  try {
    return checkId(name);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new AgentRuntimeError("INVALID_REQUEST", `${field}: ${why}`, { field, cause });
  }
}

/** A report, checked. */
export function prepareReport(
  id: string,
  report: ReportKind,
  {
    given,
    body,
    limits,
  }: { readonly given: HolderReport; readonly body: unknown; readonly limits: DataLimits },
): PreparedReport {
  const { epoch, resumePoint } = given;
  return {
    id: checkId(id),
    epoch: checkEpoch(epoch),
    report,
    body: body === undefined ? null : serializeData(body, limits),
    resumePoint: resumePoint === undefined ? null : serializeData(resumePoint, limits),
  };
}

/** What a failure says to the database. */
export function failBody({ error, retry, retryAfterMs }: FailReport): object {
  if (error === undefined) throw invalid("error", "is missing; say what went wrong");
  if (retry !== undefined && typeof retry !== "boolean")
    throw invalid("retry", "must be true or false");
  const after = msOrNull(retryAfterMs, "retryAfterMs");
  return {
    error,
    ...(retry === undefined ? {} : { retry }),
    ...(after === null ? {} : { retryAfterMs: after }),
  };
}

/** What a task waits for, as the database takes it. */
export function waitBody(wait: Wait): object {
  switch (wait?.for) {
    case "child": {
      const { children } = wait;
      const named = children === undefined ? {} : { children: children.map((id) => checkId(id)) };
      return { for: "child", ...named, ...timeout(wait) };
    }
    case "timer":
      if ("until" in wait) return { for: "timer", until: timeOrNull(wait.until, "until") };
      return { for: "timer", ms: wholeNumber(wait.ms, "ms", { from: 0, to: MAX_MS }) };
    case "event":
      return { for: "event", name: checkName(wait.name, "name"), ...timeout(wait) };
    case "input":
    case "auth": {
      const { prompt } = wait;
      return { for: wait.for, ...(prompt === undefined ? {} : { prompt }), ...timeout(wait) };
    }
    default:
      throw invalid("wait", 'must be {"for": "child", "timer", "event", "input" or "auth", ...}');
  }
}

export function prepareAnswer(
  { event, data, actor }: TaskAnswer,
  limits: DataLimits,
): TaskEvent & { readonly actor: string | null } {
  return {
    event: event === undefined ? null : checkName(event, "event"),
    data: serializeData(data, limits),
    actor: actor === undefined ? null : checkActor(actor),
  };
}

export function prepareWhy({ reason, actor }: TaskOrder): Why {
  return {
    reason: reason === undefined ? null : checkCause(reason),
    actor: actor === undefined ? null : checkActor(actor),
  };
}

export function checkEpoch(epoch: unknown): bigint {
  if (typeof epoch === "bigint" && epoch >= 0n && epoch <= MAX_EPOCH) return epoch;
  throw invalid("epoch", "must be the epoch that the task was claimed with");
}

/** Milliseconds, or null where they are left out. */
export function msOrNull(value: unknown, field: string): number | null {
  return value === undefined ? null : wholeNumber(value, field, { from: 0, to: MAX_MS });
}

function prepareRetry(retry: RetryPolicy): RetryPolicy {
  const backoff = { from: 0, to: MAX_BACKOFF_MS };
  return {
    maxAttempts: wholeNumber(retry.maxAttempts, "maxAttempts", { from: 1, to: MAX_ATTEMPTS }),
    backoffMs: wholeNumber(retry.backoffMs, "backoffMs", backoff),
    maxBackoffMs: wholeNumber(retry.maxBackoffMs, "maxBackoffMs", backoff),
  };
}

function timeout({ timeoutMs }: { readonly timeoutMs?: number }): { timeoutMs?: number } {
  const ms = msOrNull(timeoutMs, "timeoutMs");
  return ms === null ? {} : { timeoutMs: ms };
}

function timeOrNull(value: Date | undefined, field: string): Date | null {
  if (value === undefined) return null;
  if (isTime(value)) return value;
  throw invalid(field, "must be a time from the years 1 to 9999");
}

/** Pushed again with its key, a task must be the same one. */
function idFor(stack: string, key: string | null): string {
  if (key === null) return randomUUID();
  return createHash("sha256").update(`${stack}\u001f${key}`).digest("hex").slice(0, 32);
}

function invalid(field: string, must: string): AgentRuntimeError {
  return refused("INVALID_REQUEST", field, must);
}

/** The value that a JSON text of the database stands for. */
export function valueOf(text: string | null): Json {
  return text === null ? null : (JSON.parse(text) as Json);
}
