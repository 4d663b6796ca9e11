import { systemClock } from "../service/clock.ts";
import { AgentRuntimeError } from "../state/errors.ts";
import type { ConsumerOptions, IncomingMessage } from "../state/message-bus.ts";

interface Entry {
  readonly message: IncomingMessage;
  attempts: number;
  /** By the steady clock, until when it belongs to its receiver; 0: to nobody. */
  heldUntilMs: number;
}

/** What one group of consumers has not acknowledged yet, in the order in which it was sent. */
export class GroupQueue {
  readonly #bounds: { readonly messages: number; readonly bytes: number };
  readonly #entries = new Map<string, Entry>();
  readonly #waiting = new Set<() => void>();
  #bytes = 0;

  constructor(bounds: { readonly messages: number; readonly bytes: number }) {
    this.#bounds = bounds;
  }

  /** An empty queue takes any message. */
  hasRoom(bytes: number): boolean {
    if (this.#entries.size === 0) return true;
    return this.#entries.size < this.#bounds.messages && this.#bytes + bytes <= this.#bounds.bytes;
  }

  put(message: IncomingMessage): void {
    this.#entries.set(message.messageId, { message, attempts: 0, heldUntilMs: 0 });
    this.#bytes += message.body.byteLength;
    this.#wake();
  }

  /** What nobody holds, the oldest first; of a group of messages only where none before it is held. */
  async receive(
    { awaitMs, invisibleMs, batchSize }: ConsumerOptions,
    signal: AbortSignal,
  ): Promise<IncomingMessage[]> {
    const untilMs = systemClock.monotonicMs() + awaitMs;
    for (;;) {
      if (signal.aborted) return [];
      const { taken, nextMs } = this.#take(invisibleMs, batchSize);
      const now = systemClock.monotonicMs();
      if (taken.length > 0 || now >= untilMs) return taken;
      await this.#more(Math.min(untilMs, nextMs) - now, signal);
    }
  }

  acknowledge({ messageId }: IncomingMessage): void {
    const entry = this.#entries.get(messageId);
    if (entry === undefined) return;
    this.#entries.delete(messageId);
    this.#bytes -= entry.message.body.byteLength;
    this.#wake();
  }

  renew({ messageId, attempt }: IncomingMessage, invisibleMs: number): void {
    const entry = this.#entries.get(messageId);
    const now = systemClock.monotonicMs();
    if (entry === undefined || entry.attempts !== attempt || entry.heldUntilMs <= now) {
      throw new AgentRuntimeError(
        "UNAVAILABLE",
        "The message belongs to another receiver now: its time had run out.",
      );
    }
    entry.heldUntilMs = now + invisibleMs;
    this.#wake();
  }

  close(): void {
    this.#entries.clear();
    this.#bytes = 0;
    this.#wake();
  }

  #take(invisibleMs: number, batchSize: number): { taken: IncomingMessage[]; nextMs: number } {
    const now = systemClock.monotonicMs();
    const heldGroups = new Set<string>();
    const taken: IncomingMessage[] = [];
    let nextMs = Infinity;
    for (const entry of this.#entries.values()) {
      const { message, heldUntilMs } = entry;
      const { group } = message;
      if (heldUntilMs > now) {
        nextMs = Math.min(nextMs, heldUntilMs);
        if (group !== undefined) heldGroups.add(group);
        continue;
      }
      if (group !== undefined && heldGroups.has(group)) continue;
      if (taken.length === batchSize) break;
      entry.attempts += 1;
      entry.heldUntilMs = now + invisibleMs;
      taken.push({ ...message, attempt: entry.attempts });
    }
    return { taken, nextMs };
  }

  /** Resolves when something changed, or the time is over. */
  async #more(ms: number, signal: AbortSignal): Promise<void> {
    await new Promise<void>((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        this.#waiting.delete(done);
        signal.removeEventListener("abort", done);
        resolve();
      };
      const timer = setTimeout(done, Math.max(1, ms));
      this.#waiting.add(done);
      signal.addEventListener("abort", done, { once: true });
    });
  }

  #wake(): void {
    for (const wake of this.#waiting) wake();
  }
}
