import { test, vi } from "vitest";
import { RocketmqBus } from "../../src/rocketmq/bus.ts";
import { connectionTo, findRocketmq, newTopic } from "../support/rocketmq.ts";
import { messageBusContract } from "./message-bus.ts";

vi.setConfig({ testTimeout: 180_000, hookTimeout: 180_000 });

const found = await findRocketmq();
if ("missing" in found) {
  test("the message bus, RocketMQ", (context) => context.skip(`no RocketMQ: ${found.missing}`));
} else {
  messageBusContract(
    "RocketMQ",
    () => {
      const bus = new RocketmqBus(connectionTo(found));
      const newPlace = (): ReturnType<typeof newTopic> => newTopic(found);
      return Promise.resolve({ bus, newTopic: newPlace, close: () => bus.close() });
    },
    { invisibleMs: 3_000, awaitMs: 500 },
  );
}
