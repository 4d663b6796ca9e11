import { setTimeout as sleep } from "node:timers/promises";
import { expect, onTestFinished, test, vi } from "vitest";
import type { Rocketmq } from "../../dev/services/rocketmq.ts";
import { RocketmqBus } from "../../src/rocketmq/bus.ts";
import { proofLength } from "../support/length.ts";
import { closing, connectionTo, newTopic, ownRocketmqOf } from "../support/rocketmq.ts";
import { until } from "../support/until.ts";

vi.setConfig({ testTimeout: 900_000 });

const GROUPS = Array.from({ length: 6 }, (_, index) => `scope-${index}`);
const ROUNDS = proofLength({ short: 1, full: 5 });
const FROZEN_MS = 4_000;
/** Slow enough that a consumer that was held up by faults catches up on a busy machine. */
const SEND_EVERY_MS = 250;

/** What happens to a RocketMQ; each ends with all its members serving. */
const FAULTS: readonly ((rocketmq: Rocketmq) => Promise<void>)[] = [
  async (rocketmq) => {
    await rocketmq.kill("broker");
    await rocketmq.start("broker");
  },
  async (rocketmq) => {
    await rocketmq.kill("proxy");
    await rocketmq.start("proxy");
  },
  async (rocketmq) => {
    rocketmq.freeze("proxy");
    await sleep(FROZEN_MS); // longer than a call may take
    rocketmq.thaw("proxy");
  },
  async (rocketmq) => {
    rocketmq.freeze("broker");
    await sleep(FROZEN_MS);
    rocketmq.thaw("broker");
  },
];

/** All of them in the long form; the short one kills the broker and freezes the proxy. */
const TRIED = proofLength({ short: FAULTS.filter((_, index) => index % 2 === 0), full: FAULTS });

/** Sends 0, 1, 2 ... in a group, each until the bus has it, as long as it is told to. */
async function sendAll(bus: RocketmqBus, topic: string, run: Sending): Promise<number> {
  let sent = 0;
  while (!run.isOver) {
    const message = { topic, group: run.group, body: Buffer.from(`${sent}`) };
    await until(() => bus.producer.send(message).then(() => true), { timeoutMs: 120_000 });
    sent += 1;
    run.onSent();
    await sleep(SEND_EVERY_MS);
  }
  return sent;
}

interface Sending {
  readonly group: string;
  readonly isOver: boolean;
  readonly onSent: () => void;
}

/** What each group's messages said, without those that came again. */
class Received {
  readonly newest = new Map<string, number>();
  readonly faults: string[] = [];

  note(group: string, value: number): void {
    const before = this.newest.get(group) ?? -1;
    if (value <= before) return; // it came again
    if (value !== before + 1) this.faults.push(`${group}: ${value} after ${before}`);
    this.newest.set(group, value);
  }
}

async function receiveAll(bus: RocketmqBus, place: Place, run: Receiving): Promise<void> {
  const options = { ...place, awaitMs: 500, invisibleMs: 5_000, batchSize: 16 };
  const consumer = bus.openConsumer(options);
  while (!run.isOver()) {
    try {
      const messages = await consumer.receive();
      for (const { group, body } of messages) {
        run.received.note(group!, Number(Buffer.from(body).toString()));
      }
      await Promise.all(messages.map((message) => consumer.acknowledge(message)));
    } catch {
      await sleep(50);
    }
  }
}

interface Place {
  readonly topic: string;
  readonly group: string;
}

interface Receiving {
  readonly received: Received;
  readonly isOver: () => boolean;
}

test("members are killed and frozen: every message comes, in order in its group, and no error is left over", async (context) => {
  const rocketmq = await ownRocketmqOf(context);
  const unhandled: unknown[] = [];
  const onUnhandled = (error: unknown): void => void unhandled.push(error);
  process.on("unhandledRejection", onUnhandled);
  onTestFinished(() => void process.off("unhandledRejection", onUnhandled));

  const place = await newTopic(rocketmq.address);
  const settings = { ...connectionTo(rocketmq.address), requestTimeoutMs: 2_000 };
  const bus = closing(new RocketmqBus(settings));
  let isOver = false;
  let progress = 0;
  const sending = Promise.all(
    GROUPS.map((group) =>
      sendAll(bus, place.topic, {
        group,
        get isOver() {
          return isOver;
        },
        onSent: () => void (progress += 1),
      }),
    ),
  );
  const received = new Received();
  let isDrained = false;
  const receiving = receiveAll(bus, place, { received, isOver: () => isDrained });
  const goesOn = async (): Promise<void> => {
    const from = progress;
    await until(() => progress >= from + 3 * GROUPS.length, { timeoutMs: 120_000 });
  };
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const fault of TRIED) {
      await goesOn();
      await fault(rocketmq);
    }
  }
  await goesOn();
  isOver = true;
  const sent = await sending;
  const last = Object.fromEntries(GROUPS.map((group, index) => [group, sent[index]! - 1]));
  await until(() => GROUPS.every((group) => received.newest.get(group) === last[group]), {
    what: "the last message of every group",
    timeoutMs: 120_000,
  });
  isDrained = true;
  await receiving;
  expect(Object.fromEntries(received.newest)).toEqual(last);
  expect(received.faults).toEqual([]);
  expect(unhandled).toEqual([]);
});
