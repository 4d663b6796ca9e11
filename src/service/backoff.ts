/** How the pauses between attempts grow. */
export interface Backoff {
  readonly firstMs: number;
  readonly maxMs: number;
}

/** Doubling it more often than this exceeds every `maxMs` that makes sense. */
const MAX_DOUBLINGS = 30;

/**
 * Milliseconds to wait after the given number of failures in a row (1, 2, ...): doubled each time,
 * bounded, and jittered by up to half, so that many who failed together do not come back together.
 *
 * @param random a number from 0 up to, not including, 1.
 */
export function backoffMs(failures: number, backoff: Backoff, random: number): number {
  const doublings = Math.min(Math.max(failures - 1, 0), MAX_DOUBLINGS);
  const wholeMs = Math.min(backoff.maxMs, backoff.firstMs * 2 ** doublings);
  return Math.round(wholeMs / 2 + (wholeMs / 2) * random);
}
