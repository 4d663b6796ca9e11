import { systemClock } from "../service/clock.ts";
import type { Logger } from "../service/log-port.ts";
import type { MessageProducer } from "../state/message-bus.ts";
import type { Change } from "../state/state.ts";
import { taskReadyMessage } from "../state/task-ready-event.ts";

export interface WakeUpOptions {
  readonly producer: MessageProducer;
  readonly topic: string;
  readonly log: Logger;
}

/** On their way at a time; a worker that is woken looks for everything there is. */
const MAX_IN_FLIGHT = 32;
/** A topic that is not there, or a bus that is away, is not asked for each task. */
const REST_MS = 10_000;

/**
 * Tells whoever listens on the bus that tasks are ready. Nothing waits for it, and what does not go out at once is not
 * told: workers look by themselves now and then.
 */
export class WakeUps {
  readonly #options: WakeUpOptions;
  #inFlight = 0;
  #restsUntil = 0;

  constructor(options: WakeUpOptions) {
    this.#options = options;
  }

  tell(change: Change): void {
    if (this.#inFlight >= MAX_IN_FLIGHT || systemClock.monotonicMs() < this.#restsUntil) return;
    const message = taskReadyMessage(change, this.#options.topic);
    if (message === null) return;
    this.#inFlight += 1;
    this.#options.producer
      .send(message)
      .catch((error: unknown) => this.#rest(error))
      .finally(() => (this.#inFlight -= 1));
  }

  #rest(error: unknown): void {
    const { topic, log } = this.#options;
    const now = systemClock.monotonicMs();
    if (now < this.#restsUntil) return; // one of those that were sent beside it
    this.#restsUntil = now + REST_MS;
    log.warn({ topic, error }, "workers are not woken over the message bus; they still poll");
  }
}
