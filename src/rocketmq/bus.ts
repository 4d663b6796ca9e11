import type { ConsumerOptions, MessageBus } from "../state/message-bus.ts";
import { Consumer } from "./consumer.ts";
import { Producer } from "./producer.ts";
import type { ConnectionSettings } from "./settings.ts";

/** A RocketMQ, as messages travel on it. Connects when it is first used, and again whenever it must. */
export class RocketmqBus implements MessageBus {
  readonly producer: Producer;
  readonly #settings: ConnectionSettings;
  readonly #consumers = new Set<Consumer>();

  constructor(settings: ConnectionSettings) {
    this.#settings = settings;
    this.producer = new Producer(settings);
  }

  openConsumer(options: ConsumerOptions): Consumer {
    const consumer = new Consumer({ ...this.#settings, ...options });
    this.#consumers.add(consumer);
    return consumer;
  }

  async close(): Promise<void> {
    const parts = [this.producer, ...this.#consumers];
    await Promise.all(parts.map((part) => part.close()));
  }
}
