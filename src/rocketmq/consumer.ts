import { randomUUID } from "node:crypto";
import type { ConsumerOptions, IncomingMessage, MessageConsumer } from "../state/message-bus.ts";
import { Client } from "./client.ts";
import { originalsOf } from "./names.ts";
import type { Session } from "./session.ts";
import { unzipped } from "./unzipped.ts";
import type { ConnectionSettings } from "./settings.ts";
import { ANSWER, RocketmqError, checkAnswer } from "./wire/answer.ts";
import { METHODS } from "./wire/methods.ts";
import { CLIENT_TYPE, ENCODING, FILTER_BY_TAG, READABLE, durationOf } from "./wire/types.ts";
import type { MessageQueue, Status, WireMessage } from "./wire/types.ts";

export interface ConsumerSettings extends ConnectionSettings, ConsumerOptions {}

/** A message that was received, and who holds it. */
export interface ReceivedMessage extends IncomingMessage {
  readonly receipt: Receipt;
}

/** Proves who holds a message; `renew` changes it. */
interface Receipt {
  handle: string;
  readonly session: Session;
}

interface ReceiveAnswer {
  readonly status?: Status | null;
  readonly message?: WireMessage | null;
}

interface RenewAnswer {
  readonly status?: Status | null;
  readonly receiptHandle: string;
}

interface AckAnswer {
  readonly status?: Status | null;
  readonly entries: readonly { readonly status?: Status | null }[];
}

/** Receives the messages of one topic for one group. */
export class Consumer implements MessageConsumer<ReceivedMessage> {
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

  /** The next messages, of the brokers in turn; none where none came while it waited. */
  async receive(signal?: AbortSignal): Promise<readonly ReceivedMessage[]> {
    const { topic, group, awaitMs, invisibleMs, batchSize, requestTimeoutMs } = this.#settings;
    try {
      const brokers = await this.#brokers(signal);
      this.#turn += 1;
      const messageQueue = brokers[this.#turn % brokers.length];
      if (messageQueue === undefined) {
        throw new RocketmqError("UNAVAILABLE", `No broker has messages of topic ${topic} now.`);
      }
      const session = await this.#client.sessionFor(messageQueue, signal);
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
      return receivedOf(what, answers, session);
    } catch (error) {
      this.#client.forget(topic);
      throw error;
    }
  }

  /** It is done with: it never comes again. */
  async acknowledge({ messageId, receipt }: ReceivedMessage, signal?: AbortSignal): Promise<void> {
    const { topic, group, requestTimeoutMs } = this.#settings;
    const request = {
      group: { name: group },
      topic: { name: topic },
      entries: [{ messageId, receiptHandle: receipt.handle }],
    };
    const what = `Acknowledging a message of topic ${topic}`;
    const call = { what, timeoutMs: requestTimeoutMs, signal };
    const answer = await receipt.session.channel.call(METHODS.ackMessage, request, call);
    const { status, entries } = answer as AckAnswer;
    checkAnswer(what, entries[0]?.status ?? status);
  }

  /** It belongs to us for so long from now on; after that it comes again. */
  async renew(
    { messageId, receipt }: ReceivedMessage,
    invisibleMs: number,
    signal?: AbortSignal,
  ): Promise<void> {
    const { topic, group, requestTimeoutMs } = this.#settings;
    const request = {
      group: { name: group },
      topic: { name: topic },
      receiptHandle: receipt.handle,
      invisibleDuration: durationOf(invisibleMs),
      messageId,
    };
    const what = `Keeping a message of topic ${topic}`;
    const call = { what, timeoutMs: requestTimeoutMs, signal };
    const { channel } = receipt.session;
    const answer = await channel.call(METHODS.changeInvisibleDuration, request, call);
    const { status, receiptHandle } = answer as RenewAnswer;
    checkAnswer(what, status);
    receipt.handle = receiptHandle;
  }

  /** Ends all connections; what waits ends. Never rejects. */
  close(): Promise<void> {
    return this.#client.close();
  }

  /** A queue of each broker that has messages of the topic: it hands out those of all its queues. */
  async #brokers(signal?: AbortSignal): Promise<readonly MessageQueue[]> {
    const queues = await this.#client.queuesOf(this.#settings.topic, signal);
    const readable = queues.filter(
      ({ permission, broker }) => READABLE.includes(permission) && broker.id === 0,
    );
    return [...new Map(readable.map((queue) => [queue.broker.name, queue])).values()];
  }
}

function receivedOf(
  what: string,
  answers: readonly ReceiveAnswer[],
  session: Session,
): readonly ReceivedMessage[] {
  const status = answers.find((answer) => answer.status)?.status;
  const messages = answers.flatMap(({ message }) => (message ? [message] : []));
  if (messages.length === 0 && status?.code !== ANSWER.messageNotFound) checkAnswer(what, status);
  return messages.map((message) => incoming(message, session));
}

function incoming(message: WireMessage, session: Session): ReceivedMessage {
  const { topic, systemProperties: system, body } = message;
  return {
    topic: topic.name,
    messageId: system.messageId,
    body: system.bodyEncoding === ENCODING.gzip ? unzipped(body) : body,
    ...originalsOf(message),
    attempt: system.deliveryAttempt || 1,
    receipt: { handle: system.receiptHandle ?? "", session },
  };
}
