import { startRocketmq } from "../../dev/services/rocketmq.ts";
import type { Rocketmq } from "../../dev/services/rocketmq.ts";
import { findParts } from "../../dev/services/tools.ts";
import { RocketmqAdmin } from "../../src/rocketmq/admin/admin.ts";
import { RocketmqBus } from "../../src/rocketmq/bus.ts";
import type { Config } from "../../src/config/options.ts";
import { systemClock } from "../../src/service/clock.ts";
import { silentLog } from "../../src/service/log.ts";
import { lifecycleGroup } from "../../src/runtime/rocketmq.ts";
import type { Bench } from "../bench.ts";

const QUEUES = 16;

/** A RocketMQ of the run's own; throws, saying what is missing, where it cannot be had. */
export async function openRocketmq(bench: Bench): Promise<Rocketmq> {
  const { rocketmq: tools } = findParts();
  if (tools.missing !== undefined) throw new Error(`no RocketMQ: ${tools.missing}`);
  bench.progress("starting RocketMQ");
  const rocketmq = await startRocketmq({ tools });
  bench.workshop.atEnd(() => rocketmq.stop());
  return rocketmq;
}

/** Makes an ordered topic, and an ordered group of the same name that reads it. */
export async function makeTopic({ address }: Rocketmq, name: string): Promise<void> {
  const admin = new RocketmqAdmin({ nameservers: [address.nameserver], timeoutMs: 60_000 });
  for (const broker of await admin.brokers()) {
    await admin.putTopic(broker, { name, type: "FIFO", queues: QUEUES });
    await admin.putGroup(broker, { name, isOrdered: true, retries: 1_000 });
  }
}

/** A client that does nothing but send and receive; it ends with the run. */
export function bareBus(bench: Bench, endpoint: string): RocketmqBus {
  const common = { requestTimeoutMs: 30_000, log: silentLog, clock: systemClock };
  const bus = new RocketmqBus({ endpoints: [endpoint], ...common });
  bench.workshop.atEnd(() => bus.close());
  return bus;
}

/** What a service is told that sends its changes there; what it takes in has topics of its own, and nobody sends to them. */
export async function ownTopics(
  broker: Rocketmq,
  stateTopic: string,
): Promise<Partial<Config["rocketmq"]>> {
  const updatesTopic = `${stateTopic}-updates`;
  const lifecycleTopic = lifecycleGroup({ consumerGroup: updatesTopic });
  for (const topic of [updatesTopic, lifecycleTopic]) await makeTopic(broker, topic);
  const endpoints = [broker.address.endpoint];
  return { endpoints, stateTopic, updatesTopic, lifecycleTopic, consumerGroup: updatesTopic };
}
