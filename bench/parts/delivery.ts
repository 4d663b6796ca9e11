import { setTimeout as sleep } from "node:timers/promises";
import type { Rocketmq } from "../../dev/services/rocketmq.ts";
import type { Arrival, ReaderOrder } from "../children/rocketmq-reader.ts";
import type { OutgoingMessage } from "../../src/state/message-bus.ts";
import type { Bench } from "../bench.ts";
import type { Figure } from "../figure.ts";
import { sliceOf } from "../measure/load.ts";
import type { Slice } from "../measure/load.ts";
import { ratioOf, spreadOf } from "../measure/statistics.ts";
import { markSent } from "./backlog.ts";
import type { Backlog } from "./backlog.ts";
import { makeDocuments, random } from "./documents.ts";
import { forkChild } from "./fork-child.ts";
import { idOf, TYPE } from "./keys.ts";
import type { Library } from "./library.ts";
import { bareBus, makeTopic, ownTopics } from "./rocketmq.ts";
import { steadyMs } from "./steady-time.ts";

const EVERY_MS = 10;
/** Messages that are sent and not counted: connections, routes, the JVM. */
const WARM_UP = 100;

/** Sends one message; resolves with its first key and when its way began. */
type Send = () => Promise<Arrival>;

/** How soon after its commit a change is with a consumer, at an even 100 a second. */
export async function delivery(
  bench: Bench,
  broker: Rocketmq,
  backlog: Backlog,
): Promise<Figure[]> {
  const topic = "bench-delivery";
  const { endpoint } = broker.address;
  await makeTopic(broker, topic);
  const rocketmq = await ownTopics(broker, topic);
  const reader = bench.workshop.keep(forkChild("rocketmq-reader"));
  await reader.ask({ endpoint, topic } satisfies ReaderOrder);
  const database = await bench.seededDatabase();
  await markSent(bench, database);
  const main = (await bench.postgres()).url(database);
  const library = await bench.openLibrary({ supabase: { main }, messages: "rocketmq", rocketmq });
  const alone = await bench.openLibrary({ supabase: { main } });
  const documents = makeDocuments();
  const update = (by: Library): ReturnType<Library["updateState"]> =>
    by.updateState(idOf(1 + random(bench.sizes.keys)), TYPE, documents[random(documents.length)]!);
  const relayed: Send = async () => {
    const { namespace, scope, step, id } = await update(library);
    return [`${namespace}/${scope}/${step}/${id}`, steadyMs()];
  };
  const { producer } = bareBus(bench, endpoint);
  const messages = (await backlog.messages(topic, 1_000)).flat();
  let count = 0;
  const bare: Send = async () => {
    const key = `bare-${++count}`;
    const message: OutgoingMessage = messages[random(messages.length)]!;
    const from = steadyMs();
    await producer.send({ ...message, keys: [key] });
    return [key, from];
  };
  /** A program that sends its own message of an update that it made: the machine has the same to do. */
  const beside: Send = async () => {
    await update(alone);
    return await bare();
  };
  const measure = async (send: Send): Promise<Slice> => {
    const began = await evenly(bench, send);
    const keys = began.map(([key]) => key);
    const arrived = await reader.ask<Arrival[]>({ keys } satisfies ReaderOrder);
    const took = arrived.map(([, atMs], index) => atMs - began[index]![1]).slice(WARM_UP);
    return sliceOf(took, bench.seconds * 1_000);
  };
  try {
    return figuresOf(
      await bench.takeTurns({
        bare: () => measure(bare),
        beside: () => measure(beside),
        relayed: () => measure(relayed),
      }),
    );
  } finally {
    await Promise.all([library.close(), alone.close()]);
    await reader.stop();
  }
}

/** Starts one after the other, evenly, whether or not those before have ended. */
async function evenly({ seconds, workshop }: Bench, send: Send): Promise<Arrival[]> {
  const sending: Promise<Arrival>[] = [];
  const count = WARM_UP + Math.ceil((seconds * 1_000) / EVERY_MS);
  const from = performance.now();
  for (let at = 0; at < count; at++) {
    const waitMs = from + at * EVERY_MS - performance.now();
    if (waitMs > 0) await sleep(waitMs, undefined, { signal: workshop.signal });
    sending.push(send());
  }
  return await Promise.all(sending);
}

function figuresOf(
  slices: Readonly<Record<"bare" | "beside" | "relayed", readonly Slice[]>>,
): Figure[] {
  const others = {
    bare: "bare producer to consumer",
    beside: "the same, after the same update each",
  } as const;
  return (["bare", "beside"] as const).flatMap((other) =>
    (["p50Ms", "p99Ms"] as const).map((which) => {
      const ours = slices.relayed.map((slice) => slice[which]);
      const against = slices[other].map((slice) => slice[which]);
      return {
        name: `commit to consumer, ${1_000 / EVERY_MS} a second, ${which.slice(0, 3)}`,
        unit: "ms",
        ours: spreadOf(ours),
        against: { name: others[other], value: spreadOf(against) },
        ratio: ratioOf(ours, against),
        bar: { atMost: 1.3 },
      };
    }),
  );
}
