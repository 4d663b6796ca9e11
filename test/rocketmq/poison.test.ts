import { beforeEach, expect, onTestFinished, test, vi } from "vitest";
import type { RocketmqAddress } from "../../dev/services/rocketmq.ts";
import { Intake } from "../../src/intake/intake.ts";
import { RocketmqBus } from "../../src/rocketmq/bus.ts";
import { silentLog } from "../../src/service/log.ts";
import { anyHome } from "../messages/parts.ts";
import { eventOf, POISON } from "../messages/poison.ts";
import { openBench } from "../support/manager.ts";
import { closing, connectionTo, newTopic, ROCKETMQ_START_MS } from "../support/rocketmq.ts";
import { rocketmqOf } from "../support/rocketmq.ts";
import { until } from "../support/until.ts";

vi.setConfig({ testTimeout: 180_000 });

/** What a broker takes at most, less what stands beside the body. */
const LARGEST = 4 * 1024 * 1024 - 2_048;

/** Of these the broker has a refusal of its own. */
const TOO_LARGE_FOR_A_BROKER = "too large a message";

const LONG = { timeoutMs: 120_000 };

let address: RocketmqAddress;
beforeEach(async (context) => {
  address = await rocketmqOf(context);
}, ROCKETMQ_START_MS);

test("what can never be applied is parked with its reason, and blocks nobody, on a real broker", async () => {
  const bus = closing(new RocketmqBus(connectionTo(address)));
  const bench = await openBench(anyHome());
  onTestFinished(() => bench.close());
  const manager = bench.openManager();
  await manager.updateState("known", "task", 1);
  const place = await newTopic(address);
  const invisibleMs = 30_000;
  const intake = new Intake({
    consumer: bus.openConsumer({ ...place, awaitMs: 500, invisibleMs, batchSize: 16 }),
    parked: bench.openStore().parked,
    kind: manager.messageKinds.updates,
    invisibleMs,
    log: silentLog,
  });
  onTestFinished(() => intake.stop());
  intake.start();

  const { topic } = place;
  const send = (group: string, body: Uint8Array): Promise<void> =>
    bus.producer.send({ topic, group, body });
  const bytes = (body: unknown): Uint8Array =>
    body instanceof Uint8Array ? body : Buffer.from(JSON.stringify(body));
  const note = (id: string): Uint8Array => bytes(eventOf({ id, type: "note", data: 1 }));
  const filled = bytes(eventOf({ id: "full", type: "note", data: "" })).byteLength;
  const whole = eventOf({ id: "full", type: "note", data: "x".repeat(LARGEST - filled) });
  const poison = POISON.map(([name, code, body]) => {
    return [code, name === TOO_LARGE_FOR_A_BROKER ? whole : body] as const;
  });
  // All of it in one group, then what follows there; and in others what comes meanwhile.
  for (const [index, [, body]] of poison.entries()) {
    await send("poisoned", bytes(body));
    await send(`other-${index}`, note(`other-${index}`));
  }
  await send("poisoned", note("after"));

  await until(() => intake.figures.applied === poison.length + 1, LONG);
  await until(() => intake.figures.parked === poison.length, LONG);
  const { items } = await manager.parked.list();
  expect(items.map(({ code }) => code)).toEqual(poison.map(([code]) => code));
  for (const { detail, group, attempts } of items) {
    expect({ group, attempts }).toEqual({ group: "poisoned", attempts: 1 });
    expect(detail.length).toBeGreaterThan(10);
  }
  expect(await manager.getState("after")).toMatchObject({ version: 1n });
  expect(await manager.getState("known")).toMatchObject({ version: 1n });
  expect(intake.figures).toMatchObject({ health: "ok", retried: 0 });

  const kept = await manager.parked.get(items[POISON.length - 3]!.number);
  expect(Buffer.compare(Buffer.from(kept.body), bytes(whole))).toBe(0); // toEqual takes 17 s for it
});
