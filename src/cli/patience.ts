import { setTimeout as sleep } from "node:timers/promises";
import { backoffMs } from "../service/backoff.ts";
import { systemClock } from "../service/clock.ts";
import { AgentRuntimeError } from "../state/errors.ts";

export interface Patience {
  readonly signal: AbortSignal;
  /** Whether a service that does not answer is waited for; not where it never answered. */
  readonly isPatient: () => boolean;
  /** Called before each further try. */
  readonly onTrouble: () => void;
}

/** How long a service may be gone in the middle of a longer work: time enough to restart it. */
const PATIENCE_MS = 60_000;
const BACKOFF = { firstMs: 100, maxMs: 2_000 };

/**
 * What `call` answers once the service does; for calls that may be repeated safely.
 *
 * @throws {AgentRuntimeError} what is no trouble of the moment, at once; UNAVAILABLE after a minute.
 */
export async function patiently<Result>(
  call: () => Promise<Result>,
  { signal, isPatient, onTrouble }: Patience,
): Promise<Result> {
  const startedMs = systemClock.monotonicMs();
  for (let failures = 1; ; failures++) {
    try {
      return await call();
    } catch (error) {
      const isPassing = error instanceof AgentRuntimeError && error.retryable;
      const isTooLong = systemClock.monotonicMs() - startedMs > PATIENCE_MS;
      if (!isPassing || isTooLong || !isPatient()) throw error;
    }
    onTrouble();
    await sleep(backoffMs(failures, BACKOFF, Math.random()), undefined, { signal });
  }
}
