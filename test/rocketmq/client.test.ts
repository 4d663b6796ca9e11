import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { RocketmqAddress } from "../../dev/services/rocketmq.ts";
import { Consumer } from "../../src/rocketmq/consumer.ts";
import type { IncomingMessage } from "../../src/rocketmq/consumer.ts";
import { Producer } from "../../src/rocketmq/producer.ts";
import { proofLength } from "../support/length.ts";
import { ROCKETMQ_START_MS, closing, connectionTo, newTopic } from "../support/rocketmq.ts";
import { rocketmqOf } from "../support/rocketmq.ts";
import { until } from "../support/until.ts";

let address: RocketmqAddress;
beforeEach(async (context) => {
  address = await rocketmqOf(context);
}, ROCKETMQ_START_MS);

const LONG = { timeoutMs: 120_000 };
const TEST_MS = 180_000;

function producer(): Producer {
  return closing(new Producer(connectionTo(address)));
}

function consumer(place: { readonly topic: string; readonly group: string }): Consumer {
  const settings = { ...place, awaitMs: 500, invisibleMs: 60_000, batchSize: 32 };
  return closing(new Consumer({ ...connectionTo(address), ...settings }));
}

/** The next message; a new group may have to wait until its proxy knows it. */
async function next(from: Consumer): Promise<IncomingMessage> {
  return await until(async () => (await from.receive())[0], LONG);
}

const text = ({ body }: IncomingMessage): string => Buffer.from(body).toString();

test(
  "a message comes with all that was sent with it",
  async () => {
    const place = await newTopic(address);
    await producer().send({
      topic: place.topic,
      body: Buffer.from("ab\u0000ü"),
      group: "scope 1",
      tag: "task",
      keys: ["default/s/1/a", "a", "s"],
      properties: { CE_id: "default/s/1/a", traceparent: "00-1-2-01" },
    });
    const receiver = consumer(place);
    const message = await next(receiver);
    expect(text(message)).toBe("ab\u0000ü");
    expect(message).toMatchObject({
      topic: place.topic,
      group: "scope 1",
      tag: "task",
      keys: ["default/s/1/a", "a", "s"],
      properties: { CE_id: "default/s/1/a", traceparent: "00-1-2-01" },
      attempt: 1,
    });
    await receiver.ack([message]);
  },
  TEST_MS,
);

test(
  "messages of a group come in the order of sending, whatever the others do",
  async () => {
    const place = await newTopic(address);
    const sender = producer();
    const groups = Array.from({ length: 6 }, (_, index) => `g${index}`);
    const many = 15;
    await Promise.all(
      groups.map(async (group) => {
        for (let index = 0; index < many; index += 1) {
          await sender.send({ topic: place.topic, group, body: Buffer.from(`${index}`) });
        }
      }),
    );
    const receiver = consumer(place);
    const came = new Map<string, number[]>(groups.map((group) => [group, []]));
    const receive = async (): Promise<boolean> => {
      const messages = await receiver.receive();
      for (const message of messages) came.get(message.group!)!.push(Number(text(message)));
      await receiver.ack(messages);
      return [...came.values()].every(({ length }) => length >= many);
    };
    await until(receive, LONG);
    const inOrder = Array.from({ length: many }, (_, index) => index);
    for (const group of groups) expect(came.get(group), group).toEqual(inOrder);
  },
  TEST_MS,
);

test(
  "a message that is not acknowledged comes again; one that is kept does not, before its time",
  async () => {
    const place = await newTopic(address, "NORMAL");
    const sender = producer();
    const receiver = consumer(place);
    await sender.send({ topic: place.topic, body: Buffer.from("given back") });
    const first = await next(receiver);
    const { handle } = first.receipt;
    await receiver.renew(first, 60_000);
    expect(first.receipt.handle).not.toBe(handle);
    await receiver.renew(first, 1_000);
    const again = await next(receiver);
    expect(text(again)).toBe("given back");
    expect(again.attempt).toBeGreaterThan(1);
    await receiver.ack([again]);
    expect(await receiver.receive()).toEqual([]);
  },
  TEST_MS,
);

test(
  "a topic that does not exist is said with what to do, and works once it does",
  async () => {
    const sender = producer();
    const message = { topic: "nobody-made-it", group: "g", body: Buffer.from("x") };
    await expect(sender.send(message)).rejects.toThrow(/topics create/);
    const { topic } = await newTopic(address);
    await sender.send({ ...message, topic });
  },
  TEST_MS,
);

describe("starting and stopping", () => {
  const cycles = proofLength({ short: 10, full: 100 });
  const unhandled: unknown[] = [];
  const note = (error: unknown): void => void unhandled.push(error);
  beforeAll(() => void process.on("unhandledRejection", note));
  afterAll(() => void process.off("unhandledRejection", note));

  const sockets = (): number =>
    process.getActiveResourcesInfo().filter((kind) => /^TCP|TLS/.test(kind)).length;

  test.each([
    ["up", () => address.endpoint],
    ["down", () => "127.0.0.1:9"],
  ])(
    "leaves nothing behind when RocketMQ is %s",
    async (_name, endpointOf) => {
      const place = await newTopic(address);
      const before = sockets();
      for (let cycle = 0; cycle < cycles; cycle += 1) {
        const connection = { ...connectionTo(address), endpoints: [endpointOf()] };
        const sender = new Producer(connection);
        const receiver = new Consumer({
          ...connection,
          ...place,
          awaitMs: 10_000,
          invisibleMs: 60_000,
          batchSize: 1,
        });
        const work = [
          sender.send({ topic: place.topic, group: "g", body: Buffer.from("x") }),
          receiver.receive(),
        ];
        const results = Promise.allSettled(work);
        if (cycle % 2 === 0) await Promise.race(work).catch(() => undefined);
        await Promise.all([sender.close(), receiver.close()]);
        await results;
      }
      await until(() => sockets() <= before, { ...LONG, what: `no more than ${before} sockets` });
      expect(unhandled).toEqual([]);
    },
    TEST_MS,
  );
});
