import type { Json } from "../state/json.ts";
import { checkFields } from "../state/nearest.ts";
import type {
  ClaimRequest,
  EffectReport,
  FailReport,
  HolderReport,
  PushRequest,
  TaskAnswer,
  TaskOrder,
} from "../state/task-face.ts";
import { PREEMPTS } from "../state/task.ts";
import type { RetryPolicy, Wait } from "../state/task.ts";
import { definedOnly } from "../state/defined.ts";
import { arrayIn, countIn, refused, textIn, timeIn, toObject, wordIn } from "../state/fields.ts";
import type { Given } from "../state/fields.ts";

const PUSH_FIELDS = [
  "id",
  "kind",
  "input",
  "priority",
  "runAt",
  "delayMs",
  "preempt",
  "parent",
  "parentEpoch",
  "deadline",
  "retry",
  "supersedes",
  "actor",
  "idempotencyKey",
] as const;
const RETRY_FIELDS = ["maxAttempts", "backoffMs", "maxBackoffMs"] as const;
const NEXT_FIELDS = ["worker", "incarnation", "stacks", "kinds", "limit"] as const;
const REPORT_FIELDS = ["epoch", "resumePoint", "next"] as const;
const WAIT_FIELDS = ["for", "children", "until", "ms", "name", "prompt", "timeoutMs"] as const;
const WAITS = ["child", "timer", "event", "input", "auth"] as const;

/** The body of a push. */
export function pushIn(given: Given): PushRequest {
  checkFields(given, PUSH_FIELDS, "the body");
  return definedOnly({
    id: textIn(given, "id", "INVALID_ID"),
    kind: textIn(given, "kind", "INVALID_TYPE"),
    input: given["input"],
    priority: numberIn(given, "priority"),
    runAt: momentIn(given, "runAt"),
    delayMs: numberIn(given, "delayMs"),
    preempt: wordIn(given, "preempt", PREEMPTS),
    parent: textIn(given, "parent", "INVALID_ID"),
    parentEpoch: countIn(given, "parentEpoch", "INVALID_VERSION"),
    deadline: momentIn(given, "deadline"),
    retry: retryIn(given),
    supersedes: textIn(given, "supersedes", "INVALID_ID"),
    actor: textIn(given, "actor", "INVALID_REQUEST"),
    idempotencyKey: textIn(given, "idempotencyKey", "INVALID_REQUEST"),
  });
}

/** The body of a claim. */
export function claimIn(given: Given): ClaimRequest {
  checkFields(given, [...NEXT_FIELDS, "waitMs"], "the body");
  return { ...nextIn(given), ...definedOnly({ waitMs: numberIn(given, "waitMs") }) };
}

/** The body of a heartbeat. */
export function incarnationIn(given: Given): string {
  checkFields(given, ["incarnation"], "the body");
  return textOf(given, "incarnation");
}

/** What every report says; `more` are the fields of this kind of report. */
export function reportIn(given: Given, more: readonly string[] = []): HolderReport {
  checkFields(given, [...REPORT_FIELDS, ...more], "the body");
  const next = given["next"];
  return {
    epoch: epochIn(given),
    ...definedOnly({
      resumePoint: given["resumePoint"],
      next: next === undefined ? undefined : claimNextIn(next),
    }),
  };
}

export function completeIn(given: Given): HolderReport & { readonly result?: Json } {
  return { ...reportIn(given, ["result"]), ...definedOnly({ result: given["result"] }) };
}

export function failIn(given: Given): FailReport {
  const report = reportIn(given, ["error", "retry", "retryAfterMs"]);
  const { error, retry } = given;
  if (error === undefined)
    throw refused("INVALID_REQUEST", "error", "is missing; say what went wrong");
  if (retry !== undefined && typeof retry !== "boolean") {
    throw refused("INVALID_REQUEST", "retry", "must be true or false");
  }
  return {
    ...report,
    error,
    ...definedOnly({ retry, retryAfterMs: numberIn(given, "retryAfterMs") }),
  };
}

export function waitIn(given: Given): HolderReport & { readonly wait: Wait } {
  const report = reportIn(given, WAIT_FIELDS);
  const what = wordIn(given, "for", WAITS);
  if (what === undefined)
    throw refused("INVALID_REQUEST", "for", `is missing; one of ${WAITS.join(", ")}`);
  const wait = definedOnly({
    for: what,
    children: "children" in given ? arrayIn(given, "children", "INVALID_REQUEST") : undefined,
    until: momentIn(given, "until"),
    ms: numberIn(given, "ms"),
    name: textIn(given, "name", "INVALID_REQUEST"),
    prompt: given["prompt"],
    timeoutMs: numberIn(given, "timeoutMs"),
  });
  return { ...report, wait: wait as Wait };
}

export function effectIn(given: Given): EffectReport {
  checkFields(given, ["epoch", "key", "receipt", "again"], "the body");
  const { receipt, again } = given;
  if (again !== undefined && typeof again !== "boolean") {
    throw refused("INVALID_REQUEST", "again", "must be true or false");
  }
  return { epoch: epochIn(given), key: textOf(given, "key"), ...definedOnly({ receipt, again }) };
}

/** The body of `/input`: the input that was asked for, or an event with its data. */
export function answerIn(given: Given): TaskAnswer {
  checkFields(given, ["input", "event", "data", "actor"], "the body");
  const { input, data } = given;
  const event = textIn(given, "event", "INVALID_REQUEST");
  if ((input === undefined) === (data === undefined && event === undefined)) {
    throw refused("INVALID_REQUEST", "input", 'or "event" with "data": give one of the two');
  }
  return {
    data: input ?? data ?? null,
    ...definedOnly({ event, actor: textIn(given, "actor", "INVALID_REQUEST") }),
  };
}

export function orderIn(given: Given): TaskOrder {
  checkFields(given, ["reason", "actor"], "the body");
  return definedOnly({
    reason: textIn(given, "reason", "INVALID_REQUEST"),
    actor: textIn(given, "actor", "INVALID_REQUEST"),
  });
}

function claimNextIn(next: Json): NonNullable<HolderReport["next"]> {
  const given = toObject(next, '"next"');
  checkFields(given, NEXT_FIELDS, '"next"');
  return nextIn(given);
}

function nextIn(given: Given): NonNullable<HolderReport["next"]> {
  return {
    worker: textOf(given, "worker"),
    incarnation: textOf(given, "incarnation"),
    ...definedOnly({
      stacks: textsIn(given, "stacks"),
      kinds: textsIn(given, "kinds"),
      limit: numberIn(given, "limit"),
    }),
  };
}

function retryIn(given: Given): Partial<RetryPolicy> | undefined {
  if (given["retry"] === undefined) return undefined;
  const retry = toObject(given["retry"], '"retry"');
  checkFields(retry, RETRY_FIELDS, '"retry"');
  return definedOnly(
    Object.fromEntries(RETRY_FIELDS.map((field) => [field, numberIn(retry, field)])),
  );
}

function epochIn(given: Given): bigint {
  const epoch = countIn(given, "epoch", "INVALID_VERSION");
  if (epoch === undefined)
    throw refused("INVALID_REQUEST", "epoch", "is missing; send the one of your claim");
  return epoch;
}

function textOf(given: Given, field: string): string {
  const text = textIn(given, field, "INVALID_REQUEST");
  if (text === undefined) throw refused("INVALID_REQUEST", field, "is missing");
  return text;
}

function textsIn(given: Given, field: string): string[] | undefined {
  if (given[field] === undefined) return undefined;
  return arrayIn(given, field, "INVALID_REQUEST").map((item) => {
    if (typeof item === "string") return item;
    throw refused("INVALID_REQUEST", field, "must be an array of texts");
  });
}

function momentIn(given: Given, field: string): Date | undefined {
  const time = timeIn(given, field);
  if (time !== null) return time;
  throw refused("INVALID_REQUEST", field, "must be a time like 2030-01-31T12:00:00Z");
}

function numberIn(given: Given, field: string): number | undefined {
  const value = given[field];
  if (value === undefined || typeof value === "number") return value;
  throw refused("INVALID_REQUEST", field, "must be a number");
}
