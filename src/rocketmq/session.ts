import type { ClientDuplexStream } from "@grpc/grpc-js";
import { backoffMs } from "../service/backoff.ts";
import type { ConnectionSettings } from "./settings.ts";
import { ANSWER, RocketmqError, refusal, silence } from "./wire/answer.ts";
import { Channel } from "./wire/channel.ts";
import { METHODS } from "./wire/methods.ts";
import type { Resource, Status } from "./wire/types.ts";

/** Who a client says it is. */
export interface Introduction {
  readonly clientId: string;
  readonly clientType: number;
  readonly group?: Resource;
  /** The `Settings` of the protocol. */
  readonly settings: object;
}

interface Command {
  readonly status?: Status | null;
  readonly settings?: object | null;
}

interface Waiter {
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

const HEARTBEAT_EVERY_MS = 10_000;
const BACKOFF = { firstMs: 100, maxMs: 5_000 };

/**
 * A client's standing with one proxy: the connection, the stream on which it says who it is, and its
 * heartbeat. A proxy forgets a client whose stream ends, so the stream is opened again until `close`.
 */
export class Session {
  readonly channel: Channel;
  readonly #introduction: Introduction;
  readonly #settings: ConnectionSettings;
  readonly #heart: NodeJS.Timeout;
  readonly #closing = new AbortController();
  #stream: ClientDuplexStream<object, object> | undefined;
  readonly #waiting = new Set<Waiter>();
  #isKnown = false;
  #failures = 0;
  #again: NodeJS.Timeout | undefined;

  constructor(endpoint: string, introduction: Introduction, settings: ConnectionSettings) {
    this.#introduction = introduction;
    this.#settings = settings;
    this.channel = new Channel(endpoint, introduction.clientId, settings);
    this.channel.onReconnect = () => this.#stream?.cancel(); // it is still on the connection before
    this.#heart = setInterval(() => void this.#beat(), HEARTBEAT_EVERY_MS);
    this.#introduce();
  }

  /** Resolves once the proxy has answered to who we are; rejects where it refuses, after the time, or at the signal. */
  async known(timeoutMs: number, signal?: AbortSignal): Promise<void> {
    if (this.#isKnown) return;
    signal?.throwIfAborted();
    let waiter: Waiter | undefined;
    let timer: NodeJS.Timeout | undefined;
    const abort = (): void => waiter?.reject(signal?.reason as Error);
    signal?.addEventListener("abort", abort);
    try {
      await new Promise<void>((resolve, reject) => {
        waiter = { resolve, reject };
        this.#waiting.add(waiter);
        const late = new Error(`no answer in ${timeoutMs} ms`);
        timer = setTimeout(() => {
          reject(silence("The introduction", late));
          this.#stream?.cancel(); // nobody answers on it: another one is opened
        }, timeoutMs);
      });
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", abort);
      if (waiter !== undefined) this.#waiting.delete(waiter);
    }
  }

  /** Says goodbye, where somebody listens, and leaves nothing behind. Never rejects. */
  async close(timeoutMs: number): Promise<void> {
    if (this.#closing.signal.aborted) return;
    this.#closing.abort();
    clearInterval(this.#heart);
    clearTimeout(this.#again);
    this.channel.cancelCalls();
    const { group } = this.#introduction;
    const call = { what: "The goodbye", timeoutMs };
    await this.channel
      .call(METHODS.notifyClientTermination, group === undefined ? {} : { group }, call)
      .catch(() => undefined); // it forgets us by itself
    this.#stream?.cancel(); // its listeners stay: it still tells of its end
    for (const { reject } of this.#waiting)
      reject(new RocketmqError("UNAVAILABLE", "It was closed."));
    this.channel.close();
  }

  #introduce(): void {
    const stream = this.channel.openTelemetry();
    this.#stream = stream;
    stream.on("data", (command: Command) => this.#heard(command));
    stream.on("error", (error: unknown) => this.#lost(stream, error));
    stream.on("end", () => stream.end());
    stream.on("close", () => this.#lost(stream, new Error("the stream ended")));
    stream.write({ settings: this.#introduction.settings });
  }

  #heard({ status, settings }: Command): void {
    if (status && status.code !== ANSWER.ok) {
      const error = refusal("The introduction", status);
      this.#settings.log.warn({ endpoint: this.channel.endpoint, error }, "RocketMQ refuses us");
      for (const { reject } of this.#waiting) reject(error);
      this.#stream?.cancel(); // it may be that a broker is away: we ask again
      return;
    }
    if (!settings) return;
    this.#failures = 0;
    this.#isKnown = true;
    for (const { resolve } of this.#waiting) resolve();
  }

  #lost(stream: ClientDuplexStream<object, object>, error: unknown): void {
    if (stream !== this.#stream || this.#closing.signal.aborted) return;
    this.#stream = undefined;
    this.#isKnown = false;
    this.#failures += 1;
    this.#settings.log.debug(
      { endpoint: this.channel.endpoint, error },
      "RocketMQ's proxy is away",
    );
    const waitMs = backoffMs(this.#failures, BACKOFF, Math.random());
    this.#again = setTimeout(() => this.#introduce(), waitMs);
  }

  async #beat(): Promise<void> {
    const { clientType, group } = this.#introduction;
    const request = group === undefined ? { clientType } : { clientType, group };
    const call = { what: "The heartbeat", timeoutMs: this.#settings.requestTimeoutMs };
    await this.channel
      .call(METHODS.heartbeat, request, { ...call, signal: this.#closing.signal })
      .catch((error: unknown) => {
        this.#settings.log.debug({ endpoint: this.channel.endpoint, error }, "no heartbeat");
      });
  }
}
