import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type {
  ConsumerOptions,
  IncomingMessage,
  MessageBus,
  MessageConsumer,
} from "../../src/state/message-bus.ts";
import { until } from "../support/until.ts";

export interface BusUnderTest {
  readonly bus: MessageBus;
  /** A topic, and a group of consumers of it, that nobody used before. */
  readonly newTopic: () => Promise<{ readonly topic: string; readonly group: string }>;
  readonly close: () => Promise<void>;
}

export interface BusContractOptions {
  /** The shortest time that a received message can belong to its receiver. */
  readonly invisibleMs: number;
  /** The shortest time that a receive can wait. */
  readonly awaitMs: number;
}

const LONG = { timeoutMs: 90_000 };

/** What every message bus does. */
export function messageBusContract(
  name: string,
  open: () => Promise<BusUnderTest>,
  { invisibleMs, awaitMs }: BusContractOptions,
): void {
  describe(`the message bus, ${name}`, () => {
    let under: BusUnderTest;

    beforeAll(async () => {
      under = await open();
    });

    afterAll(() => under.close());

    async function openConsumer(
      options: Partial<ConsumerOptions> = {},
    ): Promise<ConsumerOptions & { readonly consumer: MessageConsumer }> {
      const fresh = options.topic === undefined ? await under.newTopic() : undefined;
      const all = { awaitMs, invisibleMs, batchSize: 16, ...fresh, ...options } as ConsumerOptions;
      return { ...all, consumer: under.bus.openConsumer(all) };
    }

    async function send(topic: string, text: string, group?: string): Promise<void> {
      const message = { topic, body: Buffer.from(text), ...(group === undefined ? {} : { group }) };
      await under.bus.producer.send(message);
    }

    /** Receives until so many came, and acknowledges each. */
    async function drain(consumer: MessageConsumer, count: number): Promise<IncomingMessage[]> {
      const all: IncomingMessage[] = [];
      await until(
        async () => {
          for (const message of await consumer.receive()) {
            all.push(message);
            await consumer.acknowledge(message);
          }
          return all.length >= count;
        },
        { ...LONG, what: `${count} messages` },
      );
      return all;
    }

    const texts = (messages: readonly IncomingMessage[]): string[] =>
      messages.map(({ body }) => Buffer.from(body).toString());

    test("carries a message as it was sent", async () => {
      const { topic, consumer } = await openConsumer();
      await under.bus.producer.send({
        topic,
        body: Buffer.from([0, 255, 10, 13]),
        group: "agent-1",
        tag: "task",
        keys: ["default/agent-1/1/x", "x"],
        properties: { CE_id: "a/ü", traceparent: "00-1" },
      });
      const [message] = await drain(consumer, 1);
      expect(message).toMatchObject({
        topic,
        group: "agent-1",
        tag: "task",
        keys: ["default/agent-1/1/x", "x"],
        properties: { CE_id: "a/ü", traceparent: "00-1" },
        attempt: 1,
      });
      expect([...message!.body]).toEqual([0, 255, 10, 13]);
    });

    test("delivers the messages of a group in the order in which they were sent", async () => {
      const { topic, consumer } = await openConsumer();
      for (let n = 0; n < 20; n++) {
        await Promise.all(["a", "b", "c"].map((group) => send(topic, `${group}${n}`, group)));
      }
      const got = await drain(consumer, 60);
      for (const group of ["a", "b", "c"]) {
        const own = got.filter((message) => message.group === group);
        expect(texts(own)).toEqual(Array.from({ length: 20 }, (_, n) => `${group}${n}`));
      }
    });

    test("delivers again what was not acknowledged, and not what was", async () => {
      const { topic, consumer } = await openConsumer();
      await send(topic, "left", "g");
      const [first] = await until(async () => {
        const got = await consumer.receive();
        return got.length > 0 ? got : undefined;
      }, LONG);
      const [again] = await drain(consumer, 1);
      expect(texts([first!, again!])).toEqual(["left", "left"]);
      expect([first!.attempt, again!.attempt]).toEqual([1, 2]);
      expect(again!.messageId).toBe(first!.messageId);
      await send(topic, "next", "g");
      expect(texts(await drain(consumer, 1))).toEqual(["next"]);
    });

    test("holds back what comes after an unacknowledged one of its group", async () => {
      const { topic, group, consumer } = await openConsumer({ batchSize: 1 });
      const other = await openConsumer({ topic, group, batchSize: 1, invisibleMs: 60_000 });
      await send(topic, "1", "g");
      await send(topic, "2", "g");
      const [one] = await until(async () => {
        const got = await other.consumer.receive();
        return got.length > 0 ? got : undefined;
      }, LONG);
      expect(texts([one!])).toEqual(["1"]);
      expect(texts(await consumer.receive())).toEqual([]);
      await other.consumer.acknowledge(one!);
      expect(texts(await drain(consumer, 1))).toEqual(["2"]);
    });

    test("keeps a renewed message from coming again for so long", async () => {
      const { topic, consumer } = await openConsumer();
      await send(topic, "kept", "g");
      const [message] = await until(async () => {
        const got = await consumer.receive();
        return got.length > 0 ? got : undefined;
      }, LONG);
      await consumer.renew(message!, 60_000);
      const until2 = performance.now() + invisibleMs * 2;
      while (performance.now() < until2) expect(await consumer.receive()).toEqual([]);
      await consumer.acknowledge(message!);
    });

    test("gives each group of consumers everything, and shares it within a group", async () => {
      const { topic, group, consumer } = await openConsumer({ batchSize: 1 });
      const second = await openConsumer({ topic, group, batchSize: 1 });
      for (let n = 0; n < 12; n++) await send(topic, `${n}`, `group-${n}`);
      const seen: string[] = [];
      const take = async (one: MessageConsumer): Promise<void> => {
        while (seen.length < 12) {
          for (const message of await one.receive()) {
            seen.push(...texts([message]));
            await one.acknowledge(message);
          }
        }
      };
      await Promise.all([take(consumer), take(second.consumer)]);
      expect(seen.toSorted((a, b) => Number(a) - Number(b))).toEqual(
        Array.from({ length: 12 }, (_, n) => `${n}`),
      );
    });

    test("ends a receive that waits, when its caller leaves and when the consumer closes", async () => {
      const { consumer } = await openConsumer({ awaitMs: 20_000 });
      const from = performance.now();
      const leaving = new AbortController();
      const receiving = consumer.receive(leaving.signal).catch(() => []);
      leaving.abort();
      expect(await receiving).toEqual([]);
      const waiting = consumer.receive().catch(() => []);
      await consumer.close();
      expect(await waiting).toEqual([]);
      expect(performance.now() - from).toBeLessThan(19_000);
    });
  });
}
