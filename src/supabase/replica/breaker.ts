import type { Clock } from "../../service/clock.ts";
import type { Logger } from "../../service/log-port.ts";

/** How long it stays open at least, so that reads do not run against the same wall again and again. */
const OPEN_MS = 1_000;

/** Whether reads go to the replica. Open: they go to main at once, until the replica was found well again. */
export class Breaker {
  readonly #clock: Clock;
  readonly #log: Logger;
  #reason: string | null = "it was not asked yet";
  #mayCloseAt = 0;
  #opening = new AbortController();

  constructor(clock: Clock, log: Logger) {
    this.#clock = clock;
    this.#log = log;
  }

  /** Why it is open; null: it is closed. */
  get reason(): string | null {
    return this.#reason;
  }

  /** Aborts when it opens: whoever waits for the replica need not wait on. */
  get opening(): AbortSignal {
    return this.#opening.signal;
  }

  /** No read goes to the replica for `ms` milliseconds at least, and before it was found well. */
  open(reason: string, ms = OPEN_MS): void {
    this.#mayCloseAt = Math.max(this.#mayCloseAt, this.#clock.monotonicMs() + ms);
    if (this.#reason !== reason) this.#log.warn({ reason }, "the replica serves no reads");
    this.#reason = reason;
    this.#opening.abort();
  }

  /** The replica was found well. */
  close(): void {
    if (this.#reason === null || this.#clock.monotonicMs() < this.#mayCloseAt) return;
    this.#reason = null;
    this.#opening = new AbortController();
    this.#log.info({}, "the replica serves reads");
  }
}
