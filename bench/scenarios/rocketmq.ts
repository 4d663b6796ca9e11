import type { Rocketmq } from "../../dev/services/rocketmq.ts";
import { sendInGroups } from "../parts/send-in-groups.ts";
import type { OutgoingMessage } from "../../src/state/message-bus.ts";
import type { Settings } from "../../src/runtime.ts";
import type { Bench, Scenario } from "../bench.ts";
import type { Figure } from "../figure.ts";
import type { Slice } from "../measure/load.ts";
import { ratioOf, spreadOf } from "../measure/statistics.ts";
import { Backlog, CONCURRENCY, markSent } from "../parts/backlog.ts";
import { delivery } from "../parts/delivery.ts";
import { KnownStates } from "../parts/library.ts";
import { bareBus, makeTopic, openRocketmq, ownTopics } from "../parts/rocketmq.ts";

/** Messages that the bare client sends, again and again. */
const MESSAGES = 20_000;
const WRITERS = 512;

export const rocketmq: Scenario = {
  name: "rocketmq",
  about:
    "changes on their way to RocketMQ: how many, how soon, what they cost, and after an outage",
  run: async (bench) => {
    const broker = await openRocketmq(bench);
    const backlog = await Backlog.open(bench);
    return [
      ...(await relayed(bench, broker, backlog)),
      ...(await delivery(bench, broker, backlog)),
      ...(await cost(bench, broker)),
    ];
  },
};

/** How many a relay sends, and how fast it makes good for a RocketMQ that was away. */
async function relayed(bench: Bench, broker: Rocketmq, backlog: Backlog): Promise<Figure[]> {
  const topic = "bench-relay";
  await makeTopic(broker, topic);
  const { producer } = bareBus(bench, broker.address.endpoint);
  const messages = await backlog.messages(topic, MESSAGES);
  const relayRate = async (): Promise<number> => {
    await backlog.again();
    const relay = backlog.openRelay(topic, producer);
    relay.start();
    try {
      await backlog.sent(relay, (sent) => sent >= CONCURRENCY);
      const from = { at: performance.now(), sent: relay.figures.sent };
      const isOver = (): boolean => performance.now() - from.at >= bench.seconds * 1_000;
      await backlog.sent(relay, (sent) => sent >= backlog.changes || isOver());
      const seconds = (performance.now() - from.at) / 1_000;
      return (relay.figures.sent - from.sent) / seconds;
    } finally {
      await relay.stop();
    }
  };
  const rates = await bench.takeTurns({
    bare: () => bareRate(bench, messages, (message) => producer.send(message)),
    relay: relayRate,
  });
  const drained = await outage(bench, broker, { backlog, topic });
  return [
    {
      name: `relay, ${CONCURRENCY} messages side by side`,
      unit: "/s",
      ours: spreadOf(rates.relay),
      against: { name: "the bare client, the same messages", value: spreadOf(rates.bare) },
      ratio: ratioOf(rates.relay, rates.bare),
      bar: { atLeast: 0.8 },
    },
    {
      name: `${backlog.changes.toLocaleString("en-US")} changes that waited for RocketMQ`,
      unit: "/s",
      ours: spreadOf([drained]),
      against: { name: "the steady relay", value: spreadOf(rates.relay) },
      ratio: spreadOf([drained / spreadOf(rates.relay).median]),
      bar: { atLeast: 0.8 },
      notes: ["from when the proxy serves again until the last is sent"],
    },
  ];
}

/** Messages a second that the bare client sends, each scope's one after the other. */
async function bareRate(
  bench: Bench,
  scopes: readonly (readonly OutgoingMessage[])[],
  send: (message: OutgoingMessage) => Promise<void>,
): Promise<number> {
  const end = new AbortController();
  let sent = 0;
  let from = 0;
  const options = { concurrency: CONCURRENCY, signal: end.signal };
  while (!end.signal.aborted) {
    await sendInGroups(scopes, options, async (message) => {
      await send(message);
      if (end.signal.aborted) return;
      sent += 1;
      if (sent === CONCURRENCY) from = performance.now();
      if (performance.now() - from >= bench.seconds * 1_000 && sent > CONCURRENCY) end.abort();
    }).catch((error: unknown) => {
      if (!end.signal.aborted) throw error;
    });
  }
  return (sent - CONCURRENCY) / bench.seconds;
}

/** Changes a second from the moment that RocketMQ is back. */
async function outage(
  bench: Bench,
  broker: Rocketmq,
  { backlog, topic }: { readonly backlog: Backlog; readonly topic: string },
): Promise<number> {
  bench.progress(`${backlog.changes} changes while RocketMQ is away`);
  await backlog.again();
  await broker.kill("proxy");
  const relay = backlog.openRelay(topic, bareBus(bench, broker.address.endpoint).producer);
  relay.start();
  try {
    await backlog.sent(relay, () => relay.figures.failed > 0);
    await broker.start("proxy");
    const from = performance.now();
    await backlog.sent(relay, (sent) => sent >= backlog.changes);
    return backlog.changes / ((performance.now() - from) / 1_000);
  } finally {
    await relay.stop();
  }
}

/** What the relay takes from updates that cannot wait for it. */
async function cost(bench: Bench, broker: Rocketmq): Promise<Figure[]> {
  const topic = "bench-cost";
  await makeTopic(broker, topic);
  const rocketmq = await ownTopics(broker, topic);
  const postgres = await bench.postgres();
  const database = await bench.seededDatabase();
  const main = postgres.url(database);
  /** Opened for one slice: what it leaves unsent is nobody's work in the next. */
  const slice = async (settings: Settings): Promise<Slice> => {
    await markSent(bench, database);
    const library = await bench.openLibrary(settings);
    try {
      const states = await KnownStates.read(library, bench.sizes.keys);
      return await bench.load(WRITERS, (caller) => states.update(caller, WRITERS));
    } finally {
      await library.close();
    }
  };
  const slices = await bench.takeTurns({
    without: () => slice({ supabase: { main } }),
    beside: () => slice({ supabase: { main }, messages: "rocketmq", rocketmq }),
  });
  const beside = slices.beside.map(({ rate }) => rate);
  const without = slices.without.map(({ rate }) => rate);
  return [
    {
      name: `durable updates beside the relay, ${WRITERS} callers`,
      unit: "/s",
      ours: spreadOf(beside),
      against: { name: "without", value: spreadOf(without) },
      ratio: ratioOf(beside, without),
      bar: { atLeast: 0.7 },
      notes: ["RocketMQ runs on the same machine"],
    },
  ];
}
