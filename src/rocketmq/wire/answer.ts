import { status as grpcStatus } from "@grpc/grpc-js";
import type { ServiceError } from "@grpc/grpc-js";
import { AgentRuntimeError } from "../../state/errors.ts";
import type { ErrorCode } from "../../state/errors.ts";
import type { Status } from "./types.ts";

/** Answers of the proxy that are matched on. */
export const ANSWER = { ok: 20_000, messageNotFound: 40_401 } as const;

/** Its tag, key, group or a property cannot be. */
const OF_THE_MESSAGE: readonly number[] = [40_004, 40_005, 40_006, 40_007, 40_016];

const UNAUTHORIZED = 40_100;
const FORBIDDEN = 40_300;

const ADVICE: Readonly<Record<number, string>> = {
  40_013: " Its time had run out: it comes again.",
  40_014: " The topic is of another type: FIFO takes messages with a group, NORMAL those without.",
  [UNAUTHORIZED]: " Check rocketmq.accessKey and rocketmq.secretKey.",
  [FORBIDDEN]:
    " Let that user publish and subscribe there: the broker's access control list has no such rule.",
  40_402: " Create it: agent_runtime state topics create.",
  40_403: " Create it: agent_runtime state topics create.",
};

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
  const [errorCode, advice] = meaningOf(forbids(code, message) ? FORBIDDEN : code);
  return new RocketmqError(errorCode, `${what}: RocketMQ answered ${code}: ${message}.${advice}`, {
    answer: code,
  });
}

/** Who is known and may not do it gets the same answer as who is not known; only the words differ. */
function forbids(code: number, message: string): boolean {
  return code === UNAUTHORIZED && /\bno permission\b/i.test(message);
}

/**
 * Only what is wrong with the message itself is final. What is wrong with the set-up may be put right,
 * and then the same message can be sent.
 */
function meaningOf(code: number): [ErrorCode, string] {
  if (OF_THE_MESSAGE.includes(code)) return ["INVALID_REQUEST", ""];
  if (code >= 41_300 && code < 41_400) return ["PAYLOAD_TOO_LARGE", ""];
  if (code >= 43_100 && code < 43_200) return ["PAYLOAD_TOO_LARGE", ""];
  return ["UNAVAILABLE", ADVICE[code] ?? ""];
}

/** A call that got no answer; `isCanceled` where its caller left. */
export function silence(what: string, error: unknown, isCanceled = false): RocketmqError {
  if (isCanceled) return new RocketmqError("CANCELED", `${what} was canceled.`, { cause: error });
  const { code, details } = error as Partial<ServiceError>;
  const name = code === undefined ? "" : `${grpcStatus[code] ?? code}: `;
  const reason = code === undefined ? String(error) : `${name}${details ?? ""}`;
  return new RocketmqError("UNAVAILABLE", `${what}: no answer from RocketMQ (${reason}).`, {
    cause: error,
  });
}
