import { randomUUID } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";
import type { ClientReadableStream } from "@grpc/grpc-js";
import { AgentRuntimeError } from "../state/errors.ts";
import { busEventOf } from "./bus-event.ts";
import type { BusEvent, Envelope } from "./bus-event.ts";

export interface SubscriptionOptions {
  readonly stream: ClientReadableStream<object>;
  /** Why the stream ended, in the words of who reads a log. */
  readonly failure: (error: unknown) => Error;
  /** Puts an event with this topic on the bus. */
  readonly forward: (topic: string) => Promise<void>;
  /** The topic of its own marks. */
  readonly markTopic: string;
  readonly onEvent: (event: BusEvent) => void;
  /** What came and could not be read. */
  readonly onUnreadable: (topic: string, error: unknown) => void;
}

const MARK_AGAIN_MS = 100;

/** A topic that is nobody else's. */
export function newMarkTopic(): string {
  return `/agentruntime/captor/${randomUUID()}`;
}

/** The events of a bus, from one moment on. */
export class Subscription {
  /** Why no more come; resolves in the end. */
  readonly ended: Promise<unknown>;
  readonly #options: SubscriptionOptions;
  readonly #marks = new Set<() => void>();
  #isOver = false;

  constructor(options: SubscriptionOptions) {
    this.#options = options;
    const { stream } = options;
    stream.on("data", (envelope: object) => this.#take(envelope as Envelope));
    this.ended = new Promise((resolve) => {
      stream.once("error", resolve);
      stream.once("close", () => resolve(new Error("the stream of events ended")));
    }).finally(() => (this.#isOver = true));
  }

  /**
   * Resolves when all that was on the bus before has come. The bus does not say when a subscription is in
   * force, nor whether it still is: so a mark goes in, and comes back.
   *
   * @throws {AgentRuntimeError} UNAVAILABLE where none came back in time.
   */
  async mark(timeoutMs: number): Promise<void> {
    let isBack = false;
    const over = new AbortController();
    const back = new Promise<void>((resolve) => {
      const seen = (): void => {
        isBack = true;
        this.#marks.delete(seen);
        resolve();
      };
      this.#marks.add(seen);
    });
    const late = pause(timeoutMs, undefined, { signal: over.signal }).catch(() => undefined);
    // The first ones may go by before the subscription is in force.
    const sending = this.#sendMarks(() => isBack || over.signal.aborted);
    let why: unknown;
    const ended = this.ended.then((reason) => (why = reason));
    try {
      await Promise.race([back, late, ended, sending]);
    } finally {
      over.abort();
    }
    if (isBack) return;
    if (why !== undefined) throw this.#options.failure(why);
    const message = `no event came back from containerd's bus in ${timeoutMs} ms`;
    throw new AgentRuntimeError("UNAVAILABLE", message);
  }

  close(): void {
    this.#options.stream.cancel();
  }

  async #sendMarks(isDone: () => boolean): Promise<void> {
    while (!isDone() && !this.#isOver) {
      await this.#options.forward(this.#options.markTopic);
      await pause(MARK_AGAIN_MS);
    }
  }

  #take(envelope: Envelope): void {
    const { markTopic, onEvent, onUnreadable } = this.#options;
    if (envelope.topic === markTopic) {
      for (const seen of this.#marks) seen();
      return;
    }
    try {
      const event = busEventOf(envelope);
      if (event !== null) onEvent(event);
    } catch (error) {
      onUnreadable(envelope.topic, error);
    }
  }
}
