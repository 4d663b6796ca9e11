const MAX_KEPT = 1_000_000;

/** Latencies to take percentiles of, in bounded memory: beyond a million, a fair sample of all. */
export class LatencySample {
  readonly #kept: number[] = [];
  #count = 0;
  #max = 0;

  /** How many were added. */
  get count(): number {
    return this.#count;
  }

  get max(): number {
    return this.#max;
  }

  add(ms: number): void {
    this.#count += 1;
    this.#max = Math.max(this.#max, ms);
    if (this.#kept.length < MAX_KEPT) {
      this.#kept.push(ms);
      return;
    }
    // Reservoir sampling: each of all has the same chance to be kept.
    const at = Math.floor(Math.random() * this.#count);
    if (at < MAX_KEPT) this.#kept[at] = ms;
  }

  sorted(): Float64Array {
    return Float64Array.from(this.#kept).toSorted();
  }
}
