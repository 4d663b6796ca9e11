import { setMaxListeners } from "node:events";
import type { Clock } from "../../service/clock.ts";
import type { Logger } from "../../service/log-port.ts";

/** How long it stays open at least, so that reads do not run against the same wall again and again. */
const OPEN_MS = 1_000;

/** One that starts with us needs a while: that it does not answer before that is no trouble. */
const COMES_UP_MS = 10_000;

/** Whether reads go to the replica. Open: they go to main at once, until the replica was found well again. */
export class Breaker {
  readonly #clock: Clock;
  readonly #log: Logger;
  #reason: string | null = "it was not asked yet";
  /** Set when it is first suspected; it is over for good when it has served. */
  #comesUpUntilMs: number | undefined;
  #told: string | null = null;
  #mayCloseAt = 0;
  #hasEnded = false;
  #opening = newOpening();

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
    if (this.#hasEnded) return;
    this.#mayCloseAt = Math.max(this.#mayCloseAt, this.#clock.monotonicMs() + ms);
    this.#stop(reason);
    if (this.#told === reason) return;
    this.#told = reason;
    this.#log.warn({ reason }, "the replica serves no reads");
  }

  /** The same for one that does not answer, which may be on its way up. */
  suspect(reason: string): void {
    if (this.#hasEnded) return;
    const now = this.#clock.monotonicMs();
    this.#comesUpUntilMs ??= now + COMES_UP_MS;
    if (now < this.#comesUpUntilMs) this.#stop(reason);
    else this.open(reason);
  }

  /** For ever: nobody asks the replica any more. */
  end(): void {
    this.#hasEnded = true;
    this.#stop("it is closed");
  }

  /** The replica was found well. */
  close(): void {
    if (this.#hasEnded || this.#reason === null) return;
    if (this.#clock.monotonicMs() < this.#mayCloseAt) return;
    this.#reason = null;
    this.#told = null;
    this.#comesUpUntilMs = 0;
    this.#opening = newOpening();
    this.#log.info({}, "the replica serves reads");
  }

  #stop(reason: string): void {
    this.#reason = reason;
    this.#opening.abort();
  }
}

/** Each read that is under way listens for it. */
function newOpening(): AbortController {
  const opening = new AbortController();
  setMaxListeners(0, opening.signal);
  return opening;
}
