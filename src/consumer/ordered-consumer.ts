import { setTimeout as pause } from "node:timers/promises";
import { backoffMs } from "../service/backoff.ts";
import type { Logger } from "../service/log-port.ts";
import { Loop } from "../service/loop.ts";
import type { IncomingMessage, MessageConsumer } from "../state/message-bus.ts";

export interface OrderedConsumerOptions {
  /** What the log calls it. */
  readonly name: string;
  readonly consumer: MessageConsumer;
  /** Works on one message. done: it never comes again. retry: it comes again later, and those behind it after it. */
  readonly take: (message: IncomingMessage, signal: AbortSignal) => Promise<"done" | "retry">;
  /** How long a received message belongs to its receiver; renewed while it is worked on. */
  readonly invisibleMs: number;
  readonly log: Logger;
}

export interface OrderedConsumerFigures {
  readonly health: "ok" | "unavailable";
  /** Attempts that failed for a reason that passes. */
  readonly retried: number;
  readonly inFlight: number;
  readonly reason?: string;
}

const RETRY = { firstMs: 1_000, maxMs: 30_000 };
/** So long what is given back still belongs to us. */
const GIVEN_BACK_MS = 1;
/** Who stops waits no longer for a bus that stands still: what it was not told comes again. */
const LEAVE_MS = 1_000;

/**
 * Takes messages off a bus: of one group one after the other, of different groups side by side. Each is kept
 * from other receivers while it is worked on, and acknowledged after that.
 */
export class OrderedConsumer {
  readonly #options: OrderedConsumerOptions;
  readonly #loop: Loop;
  #health: OrderedConsumerFigures["health"] = "ok";
  #reason: string | undefined;
  #retried = 0;
  #inFlight = 0;
  #stopping: Promise<void> | undefined;

  constructor(options: OrderedConsumerOptions) {
    this.#options = options;
    this.#loop = new Loop({
      name: options.name,
      runOnce: (signal) => this.#round(signal),
      pauseMs: 0,
      log: options.log,
    });
  }

  start(): void {
    this.#loop.start();
  }

  get figures(): OrderedConsumerFigures {
    return {
      health: this.#health,
      retried: this.#retried,
      inFlight: this.#inFlight,
      ...(this.#reason === undefined ? {} : { reason: this.#reason }),
    };
  }

  /** Finishes what is under way; what was not begun is given back, to whoever receives it. Safe twice. */
  stop(): Promise<void> {
    this.#stopping ??= this.#loop.stop().then(() => this.#options.consumer.close());
    return this.#stopping;
  }

  async #round(signal: AbortSignal): Promise<boolean> {
    try {
      const messages = await this.#options.consumer.receive(signal);
      const groups = inGroups(messages).map((group) => this.#takeGroup(group, signal));
      // All of them end before the next round; of those that failed, the first one is told.
      const failed = (await Promise.allSettled(groups)).find(({ status }) => status === "rejected");
      if (failed !== undefined) throw (failed as PromiseRejectedResult).reason;
      this.#health = "ok";
      this.#reason = undefined;
      return true;
    } catch (error) {
      this.#health = "unavailable";
      this.#reason = error instanceof Error ? error.message : String(error);
      throw error;
    }
  }

  /** One after the other; behind one that has to wait, the others of its group wait as well. */
  async #takeGroup(messages: readonly IncomingMessage[], signal: AbortSignal): Promise<void> {
    const renewing = new AbortController();
    this.#inFlight += messages.length;
    const waiting = new Set(messages);
    const renewed = this.#keep(waiting, renewing.signal);
    try {
      for (const message of messages) {
        if (signal.aborted) {
          renewing.abort();
          return await this.#postpone([...waiting], { ms: GIVEN_BACK_MS, signal });
        }
        const fate = await this.#options.take(message, signal);
        if (fate === "retry") {
          this.#retried += 1;
          renewing.abort();
          const ms = signal.aborted
            ? GIVEN_BACK_MS
            : backoffMs(message.attempt, RETRY, Math.random());
          return await this.#postpone([...waiting], { ms, signal });
        }
        waiting.delete(message);
        const acknowledge = (limit: AbortSignal): Promise<void> =>
          this.#options.consumer.acknowledge(message, limit);
        await untilLeft(acknowledge, signal);
      }
    } finally {
      this.#inFlight -= messages.length;
      renewing.abort();
      await renewed;
    }
  }

  /** They come again after so long; where that cannot be said, when their time has run out, as all behind them. */
  async #postpone(
    messages: readonly IncomingMessage[],
    { ms, signal }: { readonly ms: number; readonly signal: AbortSignal },
  ): Promise<void> {
    const { consumer, log } = this.#options;
    const postpone = (message: IncomingMessage): Promise<void> =>
      untilLeft((limit) => consumer.renew(message, ms, limit), signal).catch((error: unknown) => {
        log.debug({ error }, "a message comes again when its time has run out");
      });
    await Promise.all(messages.map(postpone));
  }

  /** Keeps them from coming to anybody else while they are worked on. */
  async #keep(messages: ReadonlySet<IncomingMessage>, signal: AbortSignal): Promise<void> {
    const { consumer, invisibleMs, log } = this.#options;
    while (!signal.aborted) {
      await pause(invisibleMs / 3, undefined, { signal }).catch(() => {});
      if (signal.aborted) return;
      for (const message of messages) {
        await consumer.renew(message, invisibleMs, signal).catch((error: unknown) => {
          if (!signal.aborted) log.warn({ error }, "a message may come to another service as well");
        });
      }
    }
  }
}

/** What `call` answers; once we stop it has a while for that, and no more. */
async function untilLeft<Answer>(
  call: (limit: AbortSignal) => Promise<Answer>,
  stopping: AbortSignal,
): Promise<Answer> {
  const limit = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const leave = (): void => {
    timer = setTimeout(() => limit.abort(), LEAVE_MS);
  };
  if (stopping.aborted) leave();
  else stopping.addEventListener("abort", leave, { once: true });
  try {
    return await call(limit.signal);
  } finally {
    clearTimeout(timer);
    stopping.removeEventListener("abort", leave);
  }
}

/** Messages by their group, in their order; each without a group by itself. */
function inGroups(messages: readonly IncomingMessage[]): IncomingMessage[][] {
  const groups = new Map<unknown, IncomingMessage[]>();
  for (const message of messages) {
    const key = message.group ?? message;
    const known = groups.get(key);
    if (known === undefined) groups.set(key, [message]);
    else known.push(message);
  }
  return [...groups.values()];
}
