import { test, vi } from "vitest";
import type { RocketmqAddress } from "../../dev/services/rocketmq.ts";
import { RocketmqBus } from "../../src/rocketmq/bus.ts";
import { stateConsumerContract } from "../messages/state-consumer.ts";
import { connectionTo, findRocketmq, newTopic, rocketmqOf } from "../support/rocketmq.ts";

vi.setConfig({ testTimeout: 180_000, hookTimeout: 180_000 });

const found = await findRocketmq();
const declare = "missing" in found ? declareSkip : () => declareContract(found);
declare();

function declareSkip(): void {
  test("consumers of changes on RocketMQ", async (context) => void (await rocketmqOf(context)));
}

function declareContract(address: RocketmqAddress): void {
  stateConsumerContract("RocketMQ", () => {
    const bus = new RocketmqBus(connectionTo(address));
    return Promise.resolve({ bus, newTopic: () => newTopic(address), close: () => bus.close() });
  });
}
