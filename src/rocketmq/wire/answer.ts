import { status as grpcStatus } from "@grpc/grpc-js";
import type { ServiceError } from "@grpc/grpc-js";
import { AgentRuntimeError } from "../../state/errors.ts";
import type { ErrorCode } from "../../state/errors.ts";
import type { Status } from "./types.ts";

/** Answers of the proxy that are matched on. */
export const ANSWER = {
  ok: 20_000,
  badRequest: 40_000,
  invalidReceiptHandle: 40_013,
  unauthorized: 40_100,
  forbidden: 40_300,
  topicNotFound: 40_402,
  groupNotFound: 40_403,
  messageNotFound: 40_401,
  tooManyRequests: 42_900,
  internal: 50_000,
} as const;

/** The proxy refused a call, or it did not get there. */
export class RocketmqError extends AgentRuntimeError {
  /** The proxy's answer; undefined where none came. */
  readonly answer: number | undefined;

  constructor(code: ErrorCode, message: string, facts: { answer?: number; cause?: unknown } = {}) {
    super(code, message, facts.cause === undefined ? {} : { cause: facts.cause });
    this.answer = facts.answer;
  }

  /** Whether nobody answered: then another connection, or another proxy, may do better. */
  get isSilence(): boolean {
    return this.answer === undefined;
  }
}

/** Throws where the proxy's answer is no success. */
export function checkAnswer(what: string, answer: Status | null | undefined): void {
  const code = answer?.code ?? 0;
  if (code === ANSWER.ok) return;
  throw refusal(what, { code, message: answer?.message ?? "no reason" });
}

/** What the proxy's answer means, with what to do about it. */
export function refusal(what: string, { code, message }: Status): RocketmqError {
  const [errorCode, advice] = meaningOf(code);
  return new RocketmqError(errorCode, `${what}: RocketMQ answered ${code}: ${message}.${advice}`, {
    answer: code,
  });
}

function meaningOf(code: number): [ErrorCode, string] {
  if (code === ANSWER.topicNotFound || code === ANSWER.groupNotFound) {
    return ["UNAVAILABLE", " Create it: agent_runtime state topics create."];
  }
  if (code === ANSWER.unauthorized) {
    return ["UNAUTHENTICATED", " Check rocketmq.accessKey and rocketmq.secretKey."];
  }
  if (code === ANSWER.forbidden) return ["FORBIDDEN", " Let that user publish and subscribe."];
  if (code === ANSWER.tooManyRequests) return ["RATE_LIMITED", ""];
  if (code >= 41_300 && code < 41_400) return ["PAYLOAD_TOO_LARGE", ""];
  if (code >= ANSWER.badRequest && code < ANSWER.internal) return ["INVALID_REQUEST", ""];
  return ["UNAVAILABLE", ""];
}

/** A call that got no answer. */
export function silence(what: string, error: unknown): RocketmqError {
  const { code, details } = error as Partial<ServiceError>;
  const name = code === undefined ? "" : `${grpcStatus[code] ?? code}: `;
  const reason = code === undefined ? String(error) : `${name}${details ?? ""}`;
  if (code === grpcStatus.CANCELLED) {
    return new RocketmqError("CANCELED", `${what} was canceled.`, { cause: error });
  }
  return new RocketmqError("UNAVAILABLE", `${what}: no answer from RocketMQ (${reason}).`, {
    cause: error,
  });
}
