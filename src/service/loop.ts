import { setMaxListeners } from "node:events";
import { backoffMs } from "./backoff.ts";
import type { Backoff } from "./backoff.ts";
import type { Logger } from "./log-port.ts";

export interface LoopOptions {
  /** What the log calls it. */
  readonly name: string;
  /**
   * One round of work. It answers true where more is waiting already: then the next round follows
   * without a pause. The signal aborts when the loop is stopped.
   */
  readonly runOnce: (signal: AbortSignal) => Promise<boolean>;
  /** The pause after a round that left nothing; `wake()` ends it. */
  readonly pauseMs: number;
  /** The pauses after rounds that failed; `wake()` does not shorten them. */
  readonly backoff?: Backoff;
  readonly log: Logger;
  readonly random?: () => number;
}

const DEFAULT_BACKOFF: Backoff = { firstMs: 50, maxMs: 5_000 };

/** Runs one round after the other, never two at once, until it is stopped; a failure only delays it. */
export class Loop {
  readonly #options: LoopOptions;
  readonly #controller = new AbortController();
  #running: Promise<void> | undefined;
  #failures = 0;
  #woken = false;
  #endPause: (() => void) | undefined;
  #endWait: (() => void) | undefined;

  constructor(options: LoopOptions) {
    this.#options = options;
    // A round may do many things at once, each of which listens for the end.
    setMaxListeners(0, this.#controller.signal);
  }

  /** How many rounds in a row have failed; 0 while all is well. */
  get failures(): number {
    return this.#failures;
  }

  /** Starts the first round now. Safe twice; a stopped loop stays stopped. */
  start(): void {
    if (this.#controller.signal.aborted) return;
    this.#running ??= this.#run();
  }

  /** Makes the next round follow at once: the pause ends, or the one after this round is left out. */
  wake(): void {
    this.#woken = true;
    this.#endPause?.();
  }

  /** Ends the pause, tells the round that runs, and waits for it. Safe twice. */
  async stop(): Promise<void> {
    this.#controller.abort();
    this.#endWait?.();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#controller;
    while (!signal.aborted) {
      // Taken back before the round: a wake during it may tell of work that it no longer saw.
      this.#woken = false;
      const pauseMs = await this.#round(signal);
      if (signal.aborted) return;
      // Without a turn of the event loop, a round that answers at once would shut everybody else out.
      if (pauseMs === 0) await new Promise((resolve) => setImmediate(resolve));
      else await this.#wait(pauseMs);
    }
  }

  /** How long to wait after it. */
  async #round(signal: AbortSignal): Promise<number> {
    const { name, runOnce, pauseMs, log } = this.#options;
    try {
      const more = await runOnce(signal);
      if (this.#failures > 0) log.info({ loop: name, failures: this.#failures }, "works again");
      this.#failures = 0;
      return more ? 0 : pauseMs;
    } catch (error) {
      if (signal.aborted) return 0;
      this.#failures += 1;
      const { backoff = DEFAULT_BACKOFF, random = Math.random } = this.#options;
      const retryInMs = backoffMs(this.#failures, backoff, random());
      log.warn(
        { loop: name, failures: this.#failures, retryInMs, error },
        "failed, will try again",
      );
      return retryInMs;
    }
  }

  async #wait(waitMs: number): Promise<void> {
    const isPause = this.#failures === 0;
    if (isPause && this.#woken) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, waitMs);
      this.#endWait = () => {
        clearTimeout(timer);
        resolve();
      };
      this.#endPause = isPause ? this.#endWait : undefined;
    });
    this.#endWait = undefined;
    this.#endPause = undefined;
  }
}
