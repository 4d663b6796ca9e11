import { beforeEach, expect, test, vi } from "vitest";
import { ROCKETMQ_START_MS, adminOf, brokerOf, newTopic } from "../support/rocketmq.ts";
import { until } from "../support/until.ts";
import { LONG, openRelaying } from "./relaying.ts";
import type { Relaying } from "./relaying.ts";

vi.setConfig({ testTimeout: 180_000 });

let parts: Relaying;
beforeEach(async (context) => {
  parts = await openRelaying(context);
}, ROCKETMQ_START_MS);

test("a topic that is missing is told with what to do; nothing is parked, and all drains once it is there", async () => {
  const { address, bus, manager, startRelay, receive } = parts;
  const topic = `late-${process.hrtime.bigint()}`;
  const relay = startRelay(topic);
  const elsewhere = await newTopic(address);
  for (let version = 1; version <= 3; version += 1) {
    await manager.updateState("a", "note", { version });
    await manager.updateState("b", "note", { version });
  }
  await until(() => relay.figures.changesBehind === 6 && relay.figures.failed > 1, LONG);
  expect(relay.figures).toMatchObject({ health: "unavailable", sent: 0, parked: 0, reduced: 0 });
  expect(relay.figures.reason).toMatch(/answered 40402.*topics create/s);
  // The bus itself serves: what goes to other topics is not held up by this one.
  const body = Buffer.from(JSON.stringify({ data: { id: "x", version: "1" } }));
  await bus.producer.send({ topic: elsewhere.topic, group: "g", body });
  expect(await receive(elsewhere.topic, 1)).toEqual(["x 1 bare"]);

  const admin = adminOf(address);
  const broker = await brokerOf(admin);
  await admin.putTopic(broker, { name: topic, type: "FIFO", queues: 4 });
  await admin.putGroup(broker, { name: topic, isOrdered: true, retries: 1_000 });
  const came = await receive(topic, 6);
  for (const id of ["a", "b"]) {
    const own = [...new Set(came.filter((one) => one.startsWith(id)))];
    expect(own).toEqual([`${id} 1`, `${id} 2`, `${id} 3`]);
  }
  // What waits is counted once a second.
  await until(() => relay.figures.health === "ok" && relay.figures.changesBehind === 0, LONG);
  expect(relay.figures).toMatchObject({ parked: 0, reduced: 0 });
  expect(relay.figures.reason).toBeUndefined();
});
