import { InProcessBus } from "../../src/bus/in-process-bus.ts";
import { stateConsumerContract } from "./state-consumer.ts";

let count = 0;

stateConsumerContract("in process", () => {
  const bus = new InProcessBus();
  return Promise.resolve({
    bus,
    newTopic: () => Promise.resolve({ topic: `changes-${++count}`, group: "consumers" }),
    close: () => bus.close(),
  });
});
