import { AgentRuntimeError } from "../state/errors.ts";
import type { ErrorFacts } from "../state/errors.ts";
import type { CallOptions } from "../state/request.ts";
import { afterTime } from "./after-time.ts";

export interface Deadline extends CallOptions {
  /** What the caller waits for, as a message should name it: "The write". */
  readonly what: string;
  /** Asked when the caller stops waiting: whether the work may be, or become, done all the same. */
  readonly mayHaveHappened?: () => boolean;
}

/** Node waits 1 ms where a timer is asked for more than this. */
const MAX_TIMER_MS = 2 ** 31 - 1;

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
  if (signal?.aborted === true) return Promise.reject(canceled(deadline, false));
  const controller = new AbortController();
  return new Promise<T>((resolve, reject) => {
    const callOff =
      timeoutMs === undefined
        ? undefined
        : afterTime(Math.min(timeoutMs, MAX_TIMER_MS), () => giveUp(timedOut(deadline)));
    const onAbort = (): void => giveUp(canceled(deadline, deadline.mayHaveHappened?.()));
    const release = (): void => {
      callOff?.();
      signal?.removeEventListener("abort", onAbort);
    };
    const giveUp = (error: AgentRuntimeError): void => {
      release();
      reject(error);
      controller.abort(error);
    };
    signal?.addEventListener("abort", onAbort, { once: true });
    // Also where it throws before its first await, the timer must not be left behind.
    const work = async (): Promise<T> => run(controller.signal);
    work().then(resolve, reject).finally(release);
  });
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
