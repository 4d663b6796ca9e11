// A consumer in a process of its own: what it does is not the service's work.
import { RocketmqBus } from "../../src/rocketmq/bus.ts";
import type { Consumer } from "../../src/rocketmq/consumer.ts";
import { systemClock } from "../../src/service/clock.ts";
import { silentLog } from "../../src/service/log.ts";
import { steadyMs } from "../parts/steady-time.ts";

/** What the process is told: to read a topic, or to say when messages came, once all have. */
export type ReaderOrder =
  { readonly endpoint: string; readonly topic: string } | { readonly keys: readonly string[] };

/** The first key of a message, and when it first came, by the steady clock of the machine. */
export type Arrival = readonly [key: string, atMs: number];

const LOOPS = 4;

const arrivals = new Map<string, number>();
let tell = (): void => {};

process.on("message", (order: ReaderOrder) => {
  if ("topic" in order) read(order);
  else collect(order.keys);
});
process.on("disconnect", () => process.exit());

function read({ endpoint, topic }: { readonly endpoint: string; readonly topic: string }): void {
  const common = { requestTimeoutMs: 30_000, log: silentLog, clock: systemClock };
  const bus = new RocketmqBus({ endpoints: [endpoint], ...common });
  const bounds = { awaitMs: 10_000, invisibleMs: 30_000, batchSize: 16 };
  const consumer = bus.openConsumer({ topic, group: topic, ...bounds });
  for (let loop = 0; loop < LOOPS; loop++) void receive(consumer);
  process.send!("reading");
}

async function receive(consumer: Consumer): Promise<never> {
  for (;;) {
    const messages = await consumer.receive();
    const atMs = steadyMs();
    for (const { keys } of messages) {
      if (!arrivals.has(keys[0]!)) arrivals.set(keys[0]!, atMs);
    }
    tell();
    await Promise.all(messages.map((message) => consumer.acknowledge(message)));
  }
}

function collect(keys: readonly string[]): void {
  tell = () => {
    if (keys.some((key) => !arrivals.has(key))) return;
    tell = () => {};
    process.send!(keys.map((key): Arrival => [key, arrivals.get(key)!]));
  };
  tell();
}
