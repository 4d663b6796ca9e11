import { AgentRuntimeError } from "../state/errors.ts";
import type { ErrorFacts } from "../state/errors.ts";
import type { CallOptions } from "../state/request.ts";
import { afterTime } from "./after-time.ts";
import { onAbort } from "./on-abort.ts";

export interface Deadline extends CallOptions {
  /** What the caller waits for, as a message should name it: "The write". */
  readonly what: string;
  /** Asked when the caller stops waiting: whether the work may be, or become, done all the same. */
  readonly mayHaveHappened?: () => boolean;
}

/**
 * What `run` answers, unless the caller's signal or time-out comes first.
 *
 * Then the caller is answered at once, and the signal that `run` was given aborts; what `run` still
 * does after that reaches nobody.
 *
 * @throws {AgentRuntimeError} CANCELED (the signal) or UNAVAILABLE (the time-out); where
 *   `mayHaveHappened` is given, with its answer.
 */
export function withDeadline<T>(
  deadline: Deadline,
  run: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const { signal, timeoutMs } = deadline;
  const fault = callFault(deadline);
  if (fault !== undefined) return Promise.reject(fault);
  if (signal?.aborted === true) return Promise.reject(canceled(deadline, false));
  const controller = new AbortController();
  return new Promise<T>((resolve, reject) => {
    const callOff =
      timeoutMs === undefined ? undefined : afterTime(timeoutMs, () => giveUp(timedOut(deadline)));
    const unhear = onAbort(signal, () => giveUp(canceled(deadline, deadline.mayHaveHappened?.())));
    const release = (): void => {
      callOff?.();
      unhear();
    };
    const giveUp = (error: AgentRuntimeError): void => {
      release();
      reject(error);
      controller.abort(error);
    };
    // Also where it throws before its first await, the timer must not be left behind.
    const work = async (): Promise<T> => run(controller.signal);
    work().then(resolve, reject).finally(release);
  });
}

/** What is wrong with how a call is to end: a time-out that is no number would be over at once. */
export function callFault({ signal, timeoutMs }: CallOptions): AgentRuntimeError | undefined {
  const wrong = (field: string, must: string): AgentRuntimeError =>
    new AgentRuntimeError("INVALID_REQUEST", `"${field}" must be ${must}`, { field });
  if (signal !== undefined && !(signal instanceof AbortSignal))
    return wrong("signal", "an AbortSignal");
  if (timeoutMs === undefined || (typeof timeoutMs === "number" && timeoutMs >= 0))
    return undefined;
  return wrong("timeoutMs", "a number of milliseconds, 0 or more");
}

function canceled(deadline: Deadline, mayHaveHappened: boolean | undefined): AgentRuntimeError {
  return new AgentRuntimeError(
    "CANCELED",
    `${deadline.what} was canceled.${advice(mayHaveHappened)}`,
    factsOf(mayHaveHappened),
  );
}

/** The error of somebody whose time is over. */
export function timedOut(deadline: Deadline): AgentRuntimeError {
  const mayHaveHappened = deadline.mayHaveHappened?.();
  return new AgentRuntimeError(
    "UNAVAILABLE",
    `${deadline.what} took longer than ${deadline.timeoutMs} ms.${advice(mayHaveHappened)}`,
    factsOf(mayHaveHappened),
  );
}

function advice(mayHaveHappened: boolean | undefined): string {
  if (mayHaveHappened === undefined) return "";
  return mayHaveHappened
    ? " It may have happened all the same: repeat it with the same idempotency key, or read first."
    : " Nothing has happened.";
}

function factsOf(mayHaveHappened: boolean | undefined): ErrorFacts {
  return mayHaveHappened === undefined ? {} : { mayHaveHappened };
}
