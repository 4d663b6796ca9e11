import { once } from "node:events";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { RocketmqAddress } from "../../dev/services/rocketmq.ts";
import { Consumer } from "../../src/rocketmq/consumer.ts";
import type { ReceivedMessage } from "../../src/rocketmq/consumer.ts";
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
async function next(from: Consumer): Promise<ReceivedMessage> {
  return await until(async () => (await from.receive())[0], LONG);
}

test.each([
  ["a group that is too long", "g".repeat(200), "task", ["k"]],
  ["spaces and other signs", "scope 1 ü%|", "a type|b", ["default/s/1/a b", "100 %", "ü"]],
])(
  "names with %s come as they were sent",
  async (_name, group, tag, keys) => {
    const place = await newTopic(address);
    await producer().send({ topic: place.topic, body: Buffer.from("x"), group, tag, keys });
    const receiver = consumer(place);
    const message = await next(receiver);
    expect(message).toMatchObject({ group, tag, keys, properties: {}, attempt: 1 });
    await receiver.acknowledge(message);
  },
  TEST_MS,
);

test.each([
  ["empty", Buffer.alloc(0)],
  ["larger than a broker takes", Buffer.alloc(5 * 1024 * 1024)],
])(
  "a body that is %s is refused for good",
  async (_name, body) => {
    const { topic } = await newTopic(address);
    const sending = producer().send({ topic, group: "g", body });
    await expect(sending).rejects.toMatchObject({ code: "PAYLOAD_TOO_LARGE" });
  },
  TEST_MS,
);

test(
  "the largest message that a broker takes comes",
  async () => {
    const place = await newTopic(address);
    const body = Buffer.alloc(4 * 1024 * 1024 - 1024, "x");
    await producer().send({ topic: place.topic, group: "g", body });
    const { body: came } = await next(consumer(place));
    expect(Buffer.compare(came, body)).toBe(0);
  },
  TEST_MS,
);

test(
  "a topic of the other type says so, and the same message goes once it is right",
  async () => {
    const { topic } = await newTopic(address, "NORMAL");
    const sending = producer().send({ topic, group: "g", body: Buffer.from("x") });
    await expect(sending).rejects.toMatchObject({ code: "UNAVAILABLE" });
    await expect(sending).rejects.toThrow(/another type/);
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

test("what a proxy never answers ends at the signal", async () => {
  // A double of a proxy that stands still: it takes connections and says nothing.
  const proxy = createServer();
  await new Promise<void>((resolve) => proxy.listen(0, "127.0.0.1", resolve));
  const { port } = proxy.address() as AddressInfo;
  const place = { topic: "t", group: "g", awaitMs: 500, invisibleMs: 60_000, batchSize: 1 };
  const connection = { ...connectionTo(address), endpoints: [`127.0.0.1:${port}`] };
  const silent = { ...connection, requestTimeoutMs: 600_000 };
  const stop = new AbortController();
  const work = [
    closing(new Consumer({ ...silent, ...place })).receive(stop.signal),
    closing(new Producer(silent)).send({ topic: "t", body: Buffer.from("x") }, stop.signal),
  ];
  await once(proxy, "connection");
  stop.abort();
  for (const one of work) await expect(one).rejects.toBeInstanceOf(Error);
  proxy.close();
});

describe("starting and stopping", () => {
  const cycles = proofLength({ short: 4, full: 100 });
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
