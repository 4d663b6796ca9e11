import { gunzipSync } from "node:zlib";
import { randomUUID } from "node:crypto";
import { Client } from "./client.ts";
import type { Session } from "./session.ts";
import type { ConnectionSettings } from "./settings.ts";
import { ANSWER, RocketmqError, checkAnswer } from "./wire/answer.ts";
import { METHODS } from "./wire/methods.ts";
import { CLIENT_TYPE, ENCODING, FILTER_BY_TAG, READABLE, durationOf } from "./wire/types.ts";
import type { MessageQueue, Status, WireMessage } from "./wire/types.ts";

const MAX_BODY_BYTES = 16 * 1024 * 1024; // a broker takes 4 MiB

export interface ConsumerSettings extends ConnectionSettings {
  readonly topic: string;
  readonly group: string;
  /** How long a receive waits for a message. */
  readonly awaitMs: number;
  /** How long a received message belongs to its receiver; then it comes again. */
  readonly invisibleMs: number;
  readonly batchSize: number;
}

/** A message that was received. */
export interface IncomingMessage {
  readonly topic: string;
  readonly messageId: string;
  readonly body: Uint8Array;
  readonly group: string | undefined;
  readonly tag: string | undefined;
  readonly keys: readonly string[];
  readonly properties: Readonly<Record<string, string>>;
  /** 1 at the first delivery. */
  readonly attempt: number;
  readonly receipt: Receipt;
}

/** Proves who holds a message; `renew` changes it. */
export interface Receipt {
  handle: string;
  readonly messageId: string;
  readonly session: Session;
}

interface ReceiveAnswer {
  readonly status?: Status | null;
  readonly message?: WireMessage | null;
}

interface AckAnswer {
  readonly status?: Status | null;
  readonly entries: readonly { readonly status?: Status | null }[];
}

/** Receives the messages of one topic for one group. */
export class Consumer {
  readonly #settings: ConsumerSettings;
  readonly #client: Client;
  #turn = 0;

  constructor(settings: ConsumerSettings) {
    this.#settings = settings;
    const group = { name: settings.group };
    const expression = { type: FILTER_BY_TAG, expression: "*" };
    const subscription = {
      group,
      subscriptions: [{ topic: { name: settings.topic }, expression }],
      longPollingTimeout: durationOf(settings.awaitMs),
    };
    const clientType = CLIENT_TYPE.simpleConsumer;
    this.#client = new Client(settings, { clientType, group, pubSub: { subscription } });
  }

  /** How many brokers have messages of the topic: one receive each can wait at the same time. */
  async brokers(): Promise<readonly MessageQueue[]> {
    const queues = await this.#client.queuesOf(this.#settings.topic);
    const readable = queues.filter(
      ({ permission, broker }) => READABLE.includes(permission) && broker.id === 0,
    );
    return [...new Map(readable.map((queue) => [queue.broker.name, queue])).values()];
  }

  /** The next messages, of the brokers in turn; none where none came while it waited. */
  async receive(signal?: AbortSignal): Promise<readonly IncomingMessage[]> {
    const { topic, group, awaitMs, invisibleMs, batchSize, requestTimeoutMs } = this.#settings;
    try {
      const brokers = await this.brokers();
      this.#turn += 1;
      const messageQueue = brokers[this.#turn % brokers.length];
      if (messageQueue === undefined) {
        throw new RocketmqError("UNAVAILABLE", `No broker has messages of topic ${topic} now.`);
      }
      const session = await this.#client.sessionFor(messageQueue);
      const request = {
        group: { name: group },
        messageQueue,
        filterExpression: { type: FILTER_BY_TAG, expression: "*" },
        batchSize,
        invisibleDuration: durationOf(invisibleMs),
        longPollingTimeout: durationOf(awaitMs),
        attemptId: randomUUID(),
      };
      const what = `Receiving from topic ${topic}`;
      const call = { what, timeoutMs: awaitMs + requestTimeoutMs, signal };
      const answers = await session.channel.collect(METHODS.receiveMessage, request, call);
      return receivedOf(what, answers as readonly ReceiveAnswer[], session);
    } catch (error) {
      this.#client.forget(topic);
      throw error;
    }
  }

  /** These messages are done: they do not come again. */
  async ack(messages: readonly IncomingMessage[]): Promise<void> {
    const sessions = new Set(messages.map(({ receipt }) => receipt.session));
    for (const session of sessions) {
      const receipts = messages.map(({ receipt }) => receipt);
      await this.#ackAt(
        session,
        receipts.filter((receipt) => receipt.session === session),
      );
    }
  }

  /** The message belongs to us for as long as this from now; 0 or little gives it back. */
  async renew({ receipt }: IncomingMessage, invisibleMs: number): Promise<void> {
    const { topic, group, requestTimeoutMs } = this.#settings;
    const request = {
      group: { name: group },
      topic: { name: topic },
      receiptHandle: receipt.handle,
      invisibleDuration: durationOf(invisibleMs),
      messageId: receipt.messageId,
    };
    const what = `Keeping a message of topic ${topic}`;
    const call = { what, timeoutMs: requestTimeoutMs };
    const { channel } = receipt.session;
    const answer = await channel.call(METHODS.changeInvisibleDuration, request, call);
    const { status, receiptHandle } = answer as { status?: Status; receiptHandle: string };
    checkAnswer(what, status);
    receipt.handle = receiptHandle;
  }

  /** Ends all connections; what is being received or acknowledged fails. Never rejects. */
  close(): Promise<void> {
    return this.#client.close();
  }

  async #ackAt(session: Session, receipts: readonly Receipt[]): Promise<void> {
    const { topic, group, requestTimeoutMs } = this.#settings;
    const entries = receipts.map(({ messageId, handle }) => ({ messageId, receiptHandle: handle }));
    const request = { group: { name: group }, topic: { name: topic }, entries };
    const what = `Acknowledging a message of topic ${topic}`;
    const call = { what, timeoutMs: requestTimeoutMs };
    const answer = await session.channel.call(METHODS.ackMessage, request, call);
    const { status, entries: results } = answer as AckAnswer;
    for (const result of results) checkAnswer(what, result.status);
    if (results.length === 0) checkAnswer(what, status);
  }
}

function receivedOf(
  what: string,
  answers: readonly ReceiveAnswer[],
  session: Session,
): readonly IncomingMessage[] {
  const status = answers.find((answer) => answer.status)?.status;
  const messages = answers.flatMap(({ message }) => (message ? [message] : []));
  if (messages.length === 0 && status?.code !== ANSWER.messageNotFound) checkAnswer(what, status);
  return messages.map((message) => incoming(message, session));
}

function incoming(message: WireMessage, session: Session): IncomingMessage {
  const { topic, systemProperties: system, userProperties } = message;
  return {
    topic: topic.name,
    messageId: system.messageId,
    body: system.bodyEncoding === ENCODING.gzip ? unzipped(message.body) : message.body,
    group: system.messageGroup || undefined,
    tag: system.tag || undefined,
    keys: system.keys,
    properties: userProperties,
    attempt: system.deliveryAttempt || 1,
    receipt: { handle: system.receiptHandle ?? "", messageId: system.messageId, session },
  };
}

/** As it came where it is none: whoever reads it will say so. */
function unzipped(body: Uint8Array): Uint8Array {
  try {
    return gunzipSync(body, { maxOutputLength: MAX_BODY_BYTES });
  } catch {
    return body;
  }
}
