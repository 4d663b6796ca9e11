import { onTestFinished } from "vitest";
import type { TestContext } from "vitest";
import type { RocketmqAddress } from "../../dev/services/rocketmq.ts";
import type { StateManager } from "../../src/manager/state-manager.ts";
import type { Relay, RelayOptions } from "../../src/relay/relay.ts";
import { RocketmqBus } from "../../src/rocketmq/bus.ts";
import { anyHome, openRelay } from "../messages/parts.ts";
import { openBench } from "../support/manager.ts";
import { closing, connectionTo, rocketmqOf } from "../support/rocketmq.ts";
import { until } from "../support/until.ts";

export const LONG = { timeoutMs: 120_000 };

/** What writes, what sends that to the RocketMQ of this run, and what comes out there. */
export interface Relaying {
  readonly address: RocketmqAddress;
  readonly bus: RocketmqBus;
  readonly manager: StateManager;
  readonly startRelay: (topic: string, options?: Partial<RelayOptions>) => Relay;
  /** `state id version` of what comes on a topic until so many came; ` bare` where it is without its document. */
  readonly receive: (topic: string, count: number) => Promise<string[]>;
}

/** All of it ends with the test. */
export async function openRelaying(context: Pick<TestContext, "skip">): Promise<Relaying> {
  const address = await rocketmqOf(context);
  const bus = closing(new RocketmqBus(connectionTo(address)));
  const bench = await openBench(anyHome());
  onTestFinished(() => bench.close());
  const manager = bench.openManager();
  const store = bench.openStore();
  return {
    address,
    bus,
    manager,
    startRelay: (topic, options = {}) => {
      const relay = openRelay({ store, manager }, { producer: bus.producer, topic, ...options });
      onTestFinished(() => relay.stop());
      relay.start();
      return relay;
    },
    receive: (topic, count) => receive(bus, topic, count),
  };
}

async function receive(bus: RocketmqBus, topic: string, count: number): Promise<string[]> {
  const options = { topic, group: topic, awaitMs: 500, invisibleMs: 60_000, batchSize: 16 };
  const consumer = bus.openConsumer(options);
  const came: string[] = [];
  await until(async () => {
    for (const message of await consumer.receive()) {
      await consumer.acknowledge(message);
      const { data } = JSON.parse(Buffer.from(message.body).toString()) as {
        data: { id: string; version: string; data?: unknown };
      };
      came.push(`${data.id} ${data.version}${data.data === undefined ? " bare" : ""}`);
    }
    return came.length >= count;
  }, LONG);
  return came;
}
