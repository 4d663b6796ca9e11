import { Readable } from "node:stream";
import type { ClientReadableStream } from "@grpc/grpc-js";
import { expect, test, vi } from "vitest";
import type { BusEvent, Envelope } from "./bus-event.ts";
import { codecOf } from "./messages.ts";
import { Subscription, newMarkTopic } from "./subscription.ts";

const NEVER_MS = 30_000;
const PATIENT = { timeout: 20_000 };

/** A bus that keeps back what is put on it, until it is told to deliver. */
class Bus {
  readonly topics: string[] = [];
  readonly events: BusEvent[] = [];
  readonly markTopic = newMarkTopic();
  readonly subscription: Subscription;
  forward: (topic: string) => Promise<void> = (topic) => {
    this.topics.push(topic);
    return Promise.resolve();
  };
  readonly #stream = new Readable({ objectMode: true, read: () => undefined });

  constructor() {
    const stream = Object.assign(this.#stream, { cancel: () => this.#stream.destroy() });
    this.subscription = new Subscription({
      stream: stream as unknown as ClientReadableStream<object>,
      failure: (why) => new Error(`left: ${(why as Error).message}`),
      forward: (topic) => this.forward(topic),
      markTopic: this.markTopic,
      onEvent: (event) => this.events.push(event),
      onUnreadable: (topic, error) => {
        throw new Error(`${topic} cannot be read`, { cause: error });
      },
    });
  }

  deliver(topic: string, containerId = "c-1"): void {
    const codec = codecOf("TaskStart");
    const event = {
      typeUrl: "containerd.events.TaskStart",
      value: Buffer.from(codec.encode({ containerId })),
    };
    this.#stream.push({ topic, namespace: "k8s.io", event } satisfies Envelope);
  }

  break(why: string): void {
    this.#stream.destroy(new Error(why));
  }
}

/** Whether it is over by now, when all that was due has happened. */
async function isOver(promise: Promise<unknown>): Promise<boolean> {
  let over = false;
  promise.then(
    () => (over = true),
    () => (over = true),
  );
  await new Promise((resolve) => setImmediate(resolve));
  return over;
}

test("a mark is back when it comes back, and not when it was taken; nobody else's counts", async () => {
  const bus = new Bus();
  const marked = bus.subscription.mark(NEVER_MS);
  await vi.waitUntil(() => bus.topics.length > 0, PATIENT);
  expect(await isOver(marked)).toBe(false);
  bus.deliver(newMarkTopic());
  bus.deliver("/tasks/start");
  expect(await isOver(marked)).toBe(false);
  bus.deliver(bus.markTopic);
  await marked;
  // What was on the bus before it has come before it, and the mark itself is no event.
  expect(bus.events.map(({ topic }) => topic)).toEqual(["/tasks/start"]);
});

test("one that goes by before the subscription is in force is put there again", async () => {
  const bus = new Bus();
  const marked = bus.subscription.mark(NEVER_MS);
  await vi.waitUntil(() => bus.topics.length > 2, PATIENT);
  expect(new Set(bus.topics)).toEqual(new Set([bus.markTopic]));
  bus.deliver(bus.markTopic);
  await marked;
  const sent = bus.topics.length;
  await new Promise((resolve) => setTimeout(resolve, 250));
  expect(bus.topics).toHaveLength(sent);
});

test("each mark waits for its own way there and back", async () => {
  const bus = new Bus();
  const first = bus.subscription.mark(NEVER_MS);
  bus.deliver(bus.markTopic);
  await first;
  const second = bus.subscription.mark(NEVER_MS);
  expect(await isOver(second)).toBe(false);
  bus.deliver(bus.markTopic);
  await second;
});

test("a bus that stands still is not there any more, and gets no more marks", async () => {
  const bus = new Bus();
  await expect(bus.subscription.mark(50)).rejects.toMatchObject({
    code: "UNAVAILABLE",
    message: "no event came back from containerd's bus in 50 ms",
  });
  const sent = bus.topics.length;
  await new Promise((resolve) => setTimeout(resolve, 250));
  expect(bus.topics).toHaveLength(sent);
});

test("why the bus is left is why no mark comes back; so is that it takes none", async () => {
  const left = new Bus();
  const marked = left.subscription.mark(NEVER_MS);
  left.break("containerd went");
  await expect(marked).rejects.toThrow("left: containerd went");
  await expect(left.subscription.mark(NEVER_MS)).rejects.toThrow("left: containerd went");
  const refusing = new Bus();
  refusing.forward = () => Promise.reject(new Error("no such method"));
  await expect(refusing.subscription.mark(NEVER_MS)).rejects.toThrow("no such method");
});
