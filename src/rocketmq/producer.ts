import { randomUUID } from "node:crypto";
import { hostname } from "node:os";
import type { MessageProducer, OutgoingMessage } from "../state/message-bus.ts";
import { Client } from "./client.ts";
import { namesOf } from "./names.ts";
import type { ConnectionSettings } from "./settings.ts";
import { RocketmqError, checkAnswer } from "./wire/answer.ts";
import { METHODS } from "./wire/methods.ts";
import { CLIENT_TYPE, ENCODING, MESSAGE_TYPE, WRITABLE } from "./wire/types.ts";
import type { MessageQueue, Status, WireMessage } from "./wire/types.ts";

interface SendAnswer {
  readonly status?: Status | null;
  readonly entries: readonly { readonly status?: Status | null }[];
}

/** Sends messages. Who needs their order sends the next of a group after the one before was sent. */
export class Producer implements MessageProducer {
  readonly #client: Client;

  constructor(settings: ConnectionSettings) {
    const publishing = { topics: [], maxBodySize: 0, validateMessageType: true };
    this.#client = new Client(settings, {
      clientType: CLIENT_TYPE.producer,
      pubSub: { publishing },
    });
  }

  /**
   * Resolves when the broker has the message. One a call: a proxy puts several of one group that come
   * in one call into any queue, so their order is lost.
   *
   * @throws {RocketmqError} UNAVAILABLE: it may have been sent all the same; else it never can be.
   */
  async send(message: OutgoingMessage, signal?: AbortSignal): Promise<void> {
    const { topic } = message;
    try {
      const queue = queueFor(message, await this.#client.queuesOf(topic, signal));
      const session = await this.#client.sessionFor(queue, signal);
      const request = { messages: [this.#wireMessage(message)] };
      const { requestTimeoutMs: timeoutMs } = this.#client.settings;
      const what = `Sending to topic ${topic}`;
      const call = { what, timeoutMs, signal };
      const answer = await session.channel.call(METHODS.sendMessage, request, call);
      const { status, entries } = answer as SendAnswer;
      checkAnswer(what, status);
      for (const entry of entries) checkAnswer(what, entry.status);
    } catch (error) {
      this.#client.forget(topic);
      throw error;
    }
  }

  /** Ends all connections; what is being sent fails. Never rejects. */
  close(): Promise<void> {
    return this.#client.close();
  }

  #wireMessage(message: OutgoingMessage): WireMessage {
    const { topic, body } = message;
    const { group, tag, keys, properties } = namesOf(message);
    const nowMs = this.#client.settings.clock.now();
    return {
      topic: { name: topic },
      userProperties: properties,
      systemProperties: {
        keys,
        messageId: randomUUID().replaceAll("-", "").toUpperCase(),
        bodyEncoding: ENCODING.identity,
        messageType: group === undefined ? MESSAGE_TYPE.normal : MESSAGE_TYPE.fifo,
        bornTimestamp: { seconds: Math.floor(nowMs / 1000), nanos: (nowMs % 1000) * 1e6 },
        bornHost: hostname(),
        ...(tag === undefined ? {} : { tag }),
        ...(group === undefined ? {} : { messageGroup: group }),
      },
      body,
    };
  }
}

/** The proxy chooses the queue; we choose the proxy: for a group always the same. */
function queueFor(message: OutgoingMessage, queues: readonly MessageQueue[]): MessageQueue {
  const { topic, group } = message;
  const writable = queues.filter(
    ({ permission, broker }) => WRITABLE.includes(permission) && broker.id === 0,
  );
  const at = group === undefined ? Math.floor(Math.random() * writable.length) : hashOf(group);
  const queue = writable[at % writable.length];
  if (queue !== undefined) return queue;
  throw new RocketmqError("UNAVAILABLE", `No broker takes messages of topic ${topic} now.`);
}

/** FNV-1a, 32 bits. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (const byte of Buffer.from(text)) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return hash;
}
