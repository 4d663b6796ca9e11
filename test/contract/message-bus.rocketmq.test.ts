import { test, vi } from "vitest";
import type { RocketmqAddress } from "../../dev/services/rocketmq.ts";
import { RocketmqBus } from "../../src/rocketmq/bus.ts";
import { connectionTo, findRocketmq, newTopic, rocketmqOf } from "../support/rocketmq.ts";
import { messageBusContract } from "./message-bus.ts";

vi.setConfig({ testTimeout: 180_000, hookTimeout: 180_000 });

const found = await findRocketmq();
const declare = "missing" in found ? declareSkip : () => declareContract(found);
declare();

function declareSkip(): void {
  test("the message bus, RocketMQ", async (context) => void (await rocketmqOf(context)));
}

function declareContract(address: RocketmqAddress): void {
  const open = () => {
    const bus = new RocketmqBus(connectionTo(address));
    return Promise.resolve({
      bus,
      newTopic: () => newTopic(address),
      close: () => bus.close(),
    });
  };
  messageBusContract("RocketMQ", open, { invisibleMs: 5_000, awaitMs: 500 });
}
