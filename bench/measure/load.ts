import { setTimeout as sleep } from "node:timers/promises";
import { percentile } from "../../src/cli/print/numbers.ts";

/** What one slice of load measured. */
export interface Slice {
  /** Calls a second. */
  readonly rate: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Cores that each part kept busy. */
  readonly cores?: Readonly<Record<string, number>>;
}

export interface LoadOptions {
  readonly callers: number;
  readonly seconds: number;
  readonly signal?: AbortSignal;
}

/** This share of a slice passes before anything is counted. */
const WARM_UP = 0.15;
const MORE_MS = 50;

/**
 * A closed loop: each caller makes its next call when its last one was answered.
 *
 * A call that fails ends the slice: a benchmark of errors would be worthless.
 */
export async function load(
  { callers, seconds, signal }: LoadOptions,
  call: (caller: number) => Promise<unknown>,
): Promise<Slice> {
  let counts = false;
  const over = new AbortController();
  const latencies: number[] = [];
  const run = async (caller: number): Promise<void> => {
    while (!over.signal.aborted) {
      const from = performance.now();
      await call(caller);
      if (counts) latencies.push(performance.now() - from);
    }
  };
  const all = Promise.all(Array.from({ length: callers }, (_, caller) => run(caller)));
  const clock = async (): Promise<number> => {
    await sleep(seconds * 1_000 * WARM_UP, undefined, { signal });
    counts = true;
    const from = performance.now();
    await sleep(seconds * 1_000, undefined, { signal });
    while (latencies.length === 0) await sleep(MORE_MS, undefined, { signal }); // a slow machine
    counts = false;
    return performance.now() - from;
  };
  try {
    const tookMs = await Promise.race([clock(), all.then(() => 0)]);
    return sliceOf(latencies, tookMs);
  } finally {
    over.abort();
    await all;
  }
}

/** A slice from the latencies of the calls that ended in it. */
export function sliceOf(latencies: readonly number[], tookMs: number): Slice {
  if (latencies.length === 0) throw new Error("no call ended within the slice; give it more time");
  const sorted = Float64Array.from(latencies).toSorted();
  return {
    rate: latencies.length / (tookMs / 1_000),
    p50Ms: percentile(sorted, 0.5),
    p99Ms: percentile(sorted, 0.99),
  };
}
