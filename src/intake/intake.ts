import { setTimeout as pause } from "node:timers/promises";
import { backoffMs } from "../service/backoff.ts";
import type { Logger } from "../service/log-port.ts";
import { Loop } from "../service/loop.ts";
import { AgentRuntimeError } from "../state/errors.ts";
import type { IncomingMessage, MessageConsumer } from "../state/message-bus.ts";
import type { MessageKind } from "../state/message-kind.ts";
import type { ParkedStore } from "../state/parked-port.ts";

export interface IntakeOptions {
  readonly consumer: MessageConsumer;
  readonly parked: Pick<ParkedStore, "park">;
  /** What its messages mean. */
  readonly kind: MessageKind;
  /** How long a received message belongs to this service; renewed while it is worked on. */
  readonly invisibleMs: number;
  /** How often a message that failed for no known reason is tried before it is parked; default 10. */
  readonly attempts?: number;
  readonly log: Logger;
}

/** What came in, for people and metrics. */
export interface IntakeFigures {
  readonly health: "ok" | "unavailable";
  readonly applied: number;
  readonly parked: number;
  /** Attempts that failed for a reason that passes. */
  readonly retried: number;
  readonly inFlight: number;
  readonly reason?: string;
}

const ATTEMPTS = 10;
const RETRY = { firstMs: 1_000, maxMs: 30_000 };
/** Reasons that pass: the message stays where it is until they have. */
const PASSING = ["UNAVAILABLE", "RATE_LIMITED", "ROLLBACK_LAGS", "SCOPE_ON_HOLD", "CANCELED"];

const NO_ROOM =
  "there is no room for another parked message: look at them (`agent_runtime state parked`), then redrive or discard them";

type Fate = "applied" | "parked" | "retry";

/**
 * Applies what comes over the message bus: each scope in order, acknowledged after the commit,
 * each once however often it comes. What can never be applied is parked with its reason.
 */
export class Intake {
  readonly #options: IntakeOptions;
  readonly #loop: Loop;
  #health: IntakeFigures["health"] = "ok";
  #reason: string | undefined;
  #applied = 0;
  #parked = 0;
  #retried = 0;
  #inFlight = 0;
  /** Something had to be parked in this round, and there was no room for it. */
  #isFull = false;
  #stopping: Promise<void> | undefined;

  constructor(options: IntakeOptions) {
    this.#options = options;
    this.#loop = new Loop({
      name: "intake",
      runOnce: (signal) => this.#round(signal),
      pauseMs: 0,
      log: options.log,
    });
  }

  start(): void {
    this.#loop.start();
  }

  get figures(): IntakeFigures {
    return {
      health: this.#health,
      applied: this.#applied,
      parked: this.#parked,
      retried: this.#retried,
      inFlight: this.#inFlight,
      ...(this.#reason === undefined ? {} : { reason: this.#reason }),
    };
  }

  /** Finishes what is under way; what was not begun comes again, to whoever receives it. Safe twice. */
  stop(): Promise<void> {
    this.#stopping ??= this.#loop.stop().then(() => this.#options.consumer.close());
    return this.#stopping;
  }

  async #round(signal: AbortSignal): Promise<boolean> {
    try {
      this.#isFull = false;
      const messages = await this.#options.consumer.receive(signal);
      const groups = inGroups(messages).map((group) => this.#takeGroup(group, signal));
      // All of them end before the next round; of those that failed, the first one is told.
      const failed = (await Promise.allSettled(groups)).find(({ status }) => status === "rejected");
      if (failed !== undefined) throw (failed as PromiseRejectedResult).reason;
      this.#health = this.#isFull ? "unavailable" : "ok";
      this.#reason = this.#isFull ? NO_ROOM : undefined;
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
        if (signal.aborted) return;
        const fate = await this.#take(message, signal);
        if (fate === "retry") {
          this.#retried += 1;
          renewing.abort();
          return await this.#postpone([...waiting], message.attempt);
        }
        waiting.delete(message);
        await this.#options.consumer.acknowledge(message);
        if (fate === "applied") this.#applied += 1;
        else this.#parked += 1;
      }
    } finally {
      this.#inFlight -= messages.length;
      renewing.abort();
      await renewed;
    }
  }

  async #take(message: IncomingMessage, signal: AbortSignal): Promise<Fate> {
    const { messageId, namespace, work } = this.#options.kind(message.body, message.messageId);
    if (work instanceof AgentRuntimeError) {
      return await this.#park(message, { messageId, namespace, error: work });
    }
    try {
      await work({ signal });
      return "applied";
    } catch (thrown) {
      const error = thrown instanceof AgentRuntimeError ? thrown : unexpected(thrown);
      if (PASSING.includes(error.code)) return "retry";
      const { attempts = ATTEMPTS, log } = this.#options;
      if (error.code === "INTERNAL" && message.attempt < attempts) {
        log.warn(
          { error: thrown, attempt: message.attempt },
          "a message failed, will try it again",
        );
        return "retry";
      }
      return await this.#park(message, { messageId, namespace, error });
    }
  }

  async #park(
    { topic, group, body }: IncomingMessage,
    why: {
      readonly messageId: string;
      readonly namespace: string;
      readonly error: AgentRuntimeError;
    },
  ): Promise<Fate> {
    const { parked, log } = this.#options;
    const { messageId, namespace, error } = why;
    const { code, message: detail } = error;
    const order = { topic, messageId, namespace, group: group ?? null, code, detail, body };
    if (await parked.park(order)) {
      log.warn({ topic, messageId, code, detail }, "a message can never be applied and is parked");
      return "parked";
    }
    this.#isFull = true;
    return "retry";
  }

  /** They come again later; where that cannot be said, when their time runs out. */
  async #postpone(messages: readonly IncomingMessage[], attempt: number): Promise<void> {
    const { consumer, log } = this.#options;
    const ms = backoffMs(attempt, RETRY, Math.random());
    for (const message of messages) {
      await consumer.renew(message, ms).catch((error: unknown) => {
        log.debug({ error }, "a message comes again when its time has run out");
      });
    }
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

function unexpected(cause: unknown): AgentRuntimeError {
  const message = cause instanceof Error ? cause.message : String(cause);
  return new AgentRuntimeError("INTERNAL", message, { cause });
}
