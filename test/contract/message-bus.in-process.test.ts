import { expect, test } from "vitest";
import { InProcessBus } from "../../src/bus/in-process-bus.ts";
import { messageBusContract } from "./message-bus.ts";

let topics = 0;

messageBusContract(
  "in this process",
  async () => {
    const bus = new InProcessBus();
    return {
      bus,
      newTopic: async () => ({ topic: `topic-${++topics}`, group: "readers" }),
      close: () => bus.close(),
    };
  },
  { invisibleMs: 200, awaitMs: 50 },
);

const RECEIVE = { awaitMs: 0, invisibleMs: 60_000, batchSize: 100 };
const message = (n: number): { topic: string; body: Uint8Array } => {
  return { topic: "t", body: Buffer.from(`${n}`) };
};

test("a queue that is full refuses more, until some of it was acknowledged", async () => {
  const bus = new InProcessBus({ queueMessages: 3 });
  const consumer = bus.openConsumer({ topic: "t", group: "g", ...RECEIVE });
  for (let n = 0; n < 3; n++) await bus.producer.send(message(n));
  await expect(bus.producer.send(message(3))).rejects.toMatchObject({ code: "UNAVAILABLE" });
  const [first] = await consumer.receive();
  await consumer.acknowledge(first!);
  await bus.producer.send(message(3));
  await expect(bus.producer.send(message(4))).rejects.toMatchObject({ code: "UNAVAILABLE" });
});

test("a queue has a bound in bytes; an empty one takes any message", async () => {
  const bus = new InProcessBus({ queueBytes: 10 });
  bus.openConsumer({ topic: "t", group: "g", ...RECEIVE });
  await bus.producer.send({ topic: "t", body: Buffer.alloc(100) });
  await expect(bus.producer.send(message(1))).rejects.toMatchObject({ code: "UNAVAILABLE" });
});

test("who was too late may not go on with a message", async () => {
  const bus = new InProcessBus();
  const consumer = bus.openConsumer({ topic: "t", group: "g", ...RECEIVE, invisibleMs: 1 });
  await bus.producer.send(message(1));
  const [first] = await consumer.receive();
  await new Promise((resolve) => setTimeout(resolve, 5));
  await expect(consumer.renew(first!, 1_000)).rejects.toMatchObject({ code: "UNAVAILABLE" });
});

test("a topic that nobody consumes keeps nothing; a closed bus takes nothing", async () => {
  const bus = new InProcessBus({ queueMessages: 1 });
  await bus.producer.send(message(1));
  await bus.producer.send(message(2));
  await bus.close();
  await expect(bus.producer.send(message(3))).rejects.toMatchObject({ code: "UNAVAILABLE" });
});
