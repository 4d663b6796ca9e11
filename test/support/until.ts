import { once, type EventEmitter } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";

interface Wait {
  /** Named in the error when the time is over. */
  readonly what?: string;
  /** Milliseconds; default 10,000. */
  readonly timeoutMs?: number;
}

const POLL_MS = 10;

/**
 * The first truthy value that `condition` gives; throws when the deadline passes first.
 *
 * What the condition throws counts as "not yet", and the last such error is the cause of ours.
 */
export async function until<Value>(
  condition: () => Value | Promise<Value>,
  wait: Wait = {},
): Promise<NonNullable<Value>> {
  const { what = "the condition", timeoutMs = 60_000 } = wait;
  const deadline = performance.now() + timeoutMs;
  let last: unknown;
  do {
    try {
      const value = await condition();
      if (value) return value;
      last = undefined;
    } catch (error) {
      last = error;
    }
    await sleep(POLL_MS);
  } while (performance.now() < deadline);
  throw new Error(`${what} did not come true in ${timeoutMs} ms`, { cause: last });
}

/** What the next `event` of `emitter` carries; throws when the deadline passes first. */
export async function untilEvent(
  emitter: EventEmitter,
  event: string,
  wait: Wait = {},
): Promise<readonly unknown[]> {
  const { what = `event "${event}"`, timeoutMs = 60_000 } = wait;
  try {
    return (await once(emitter, event, { signal: AbortSignal.timeout(timeoutMs) })) as unknown[];
  } catch (error) {
    if (!(error instanceof Error) || error.name !== "AbortError") throw error;
    throw new Error(`${what} did not come in ${timeoutMs} ms`, { cause: error });
  }
}
