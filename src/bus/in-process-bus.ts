import { AgentRuntimeError } from "../state/errors.ts";
import type {
  ConsumerOptions,
  IncomingMessage,
  MessageBus,
  MessageConsumer,
  MessageProducer,
  OutgoingMessage,
} from "../state/message-bus.ts";
import { GroupQueue } from "./group-queue.ts";

export interface InProcessBusOptions {
  /** Messages that may wait for one group of consumers, and their bytes; then sending is refused. */
  readonly queueMessages?: number;
  readonly queueBytes?: number;
}

const QUEUE = { messages: 10_000, bytes: 64 * 1024 * 1024 };

/**
 * A bus within one process, for the embedded home and for tests: what it holds is gone with the process.
 *
 * A group of consumers gets what is sent after its first consumer was opened.
 */
export class InProcessBus implements MessageBus {
  readonly producer: MessageProducer;
  readonly #bounds: { readonly messages: number; readonly bytes: number };
  readonly #topics = new Map<string, Map<string, GroupQueue>>();
  readonly #closed = new AbortController();
  #sent = 0;

  constructor({ queueMessages, queueBytes }: InProcessBusOptions = {}) {
    this.#bounds = { messages: queueMessages ?? QUEUE.messages, bytes: queueBytes ?? QUEUE.bytes };
    this.producer = {
      send: (message) => promised(() => this.#send(message)),
      close: () => Promise.resolve(),
    };
  }

  openConsumer(options: ConsumerOptions): MessageConsumer {
    const queue = this.#queueOf(options.topic, options.group);
    const closed = new AbortController();
    const ends = [this.#closed.signal, closed.signal];
    return {
      receive: async (signal) => {
        const ended = AbortSignal.any([...ends, ...(signal === undefined ? [] : [signal])]);
        return await queue.receive(options, ended);
      },
      acknowledge: (message) => promised(() => queue.acknowledge(message)),
      renew: (message, invisibleMs) => promised(() => queue.renew(message, invisibleMs)),
      close: () => promised(() => closed.abort()),
    };
  }

  close(): Promise<void> {
    this.#closed.abort();
    for (const groups of this.#topics.values()) for (const queue of groups.values()) queue.close();
    return Promise.resolve();
  }

  #queueOf(topic: string, group: string): GroupQueue {
    const groups = this.#topics.get(topic) ?? new Map<string, GroupQueue>();
    this.#topics.set(topic, groups);
    const queue = groups.get(group) ?? new GroupQueue(this.#bounds);
    groups.set(group, queue);
    return queue;
  }

  #send(message: OutgoingMessage): void {
    if (this.#closed.signal.aborted)
      throw new AgentRuntimeError("UNAVAILABLE", "The bus is closed.");
    const queues = [...(this.#topics.get(message.topic)?.values() ?? [])];
    if (!queues.every((queue) => queue.hasRoom(message.body.byteLength))) {
      throw new AgentRuntimeError(
        "UNAVAILABLE",
        `Topic ${message.topic} is full: its consumers do not keep up. Send it again later.`,
      );
    }
    this.#sent += 1;
    for (const queue of queues) queue.put(incoming(message, String(this.#sent)));
  }
}

/** Done at once, whatever comes of it told as a promise tells it. */
function promised(run: () => void): Promise<void> {
  return new Promise((resolve) => {
    run();
    resolve();
  });
}

function incoming(message: OutgoingMessage, messageId: string): IncomingMessage {
  const { topic, body, group, tag, keys = [], properties = {} } = message;
  return { topic, messageId, body, group, tag, keys, properties, attempt: 0 };
}
