import { OrderedConsumer } from "../consumer/ordered-consumer.ts";
import type { Logger } from "../service/log-port.ts";
import { definedOnly } from "../state/defined.ts";
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
/** Reasons that pass: the message stays where it is until they have. */
const PASSING = ["UNAVAILABLE", "RATE_LIMITED", "ROLLBACK_LAGS", "SCOPE_ON_HOLD", "CANCELED"];

const NO_ROOM =
  "there is no room for another parked message: look at them (`agent_runtime state parked`), then redrive or discard them";

type Fate = "done" | "retry";

/**
 * Applies what comes over the message bus: each scope in order, acknowledged after the commit,
 * each once however often it comes. What can never be applied is parked with its reason.
 */
export class Intake {
  readonly #options: IntakeOptions;
  readonly #consumer: OrderedConsumer;
  #applied = 0;
  #parked = 0;
  /** Something had to be parked of late, and there was no room for it. */
  #isFull = false;

  constructor(options: IntakeOptions) {
    this.#options = options;
    const { consumer, invisibleMs, log } = options;
    this.#consumer = new OrderedConsumer({
      name: "intake",
      consumer,
      take: (message, signal) => this.#take(message, signal),
      invisibleMs,
      log,
    });
  }

  start(): void {
    this.#consumer.start();
  }

  get figures(): IntakeFigures {
    const figures = { ...this.#consumer.figures, applied: this.#applied, parked: this.#parked };
    const isFull = this.#isFull && figures.health === "ok";
    return isFull ? { ...figures, health: "unavailable", reason: NO_ROOM } : figures;
  }

  /** Finishes what is under way; what was not begun comes again, to whoever receives it. Safe twice. */
  stop(): Promise<void> {
    return this.#consumer.stop();
  }

  async #take(message: IncomingMessage, signal: AbortSignal): Promise<Fate> {
    const read = this.#options.kind(message.body, message.messageId);
    const { messageId, namespace, work } = read;
    if (work instanceof AgentRuntimeError) {
      return await this.#park(message, { messageId, namespace, error: work });
    }
    try {
      // Who sent it may have gone on from the trace of its event: that is in the message's own property.
      const traceparent = message.properties["traceparent"] ?? read.traceparent;
      await work({ signal, ...definedOnly({ traceparent }) });
      this.#applied += 1;
      return "done";
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
    const named = group?.replaceAll("\u0000", "\uFFFD") ?? null; // PostgreSQL keeps no NUL; a sender may say one
    const order = { topic, messageId, namespace, group: named, code, detail, body };
    if (await parked.park(order)) {
      log.warn({ topic, messageId, code, detail }, "a message can never be applied and is parked");
      this.#parked += 1;
      this.#isFull = false;
      return "done";
    }
    this.#isFull = true;
    return "retry";
  }
}

function unexpected(cause: unknown): AgentRuntimeError {
  const message = cause instanceof Error ? cause.message : String(cause);
  return new AgentRuntimeError("INTERNAL", message, { cause });
}
