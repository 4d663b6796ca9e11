import { afterEach, beforeEach, expect, onTestFinished, test } from "vitest";
import type { Relay, RelayOptions } from "../../src/relay/relay.ts";
import type { StateManager } from "../../src/manager/state-manager.ts";
import type { OutgoingMessage } from "../../src/state/message-bus.ts";
import type { StateStore } from "../../src/state/ports.ts";
import { randomFrom } from "../fault/random.ts";
import { proofLength } from "../support/length.ts";
import { openBench } from "../support/manager.ts";
import type { Bench } from "../support/manager.ts";
import { until } from "../support/until.ts";
import { anyHome, firstOfEach, openRelay, RecordingProducer, toldBy } from "./parts.ts";

const LIFES = proofLength({ short: 6, full: 100 });

let bench: Bench;
let manager: StateManager;
let store: StateStore;
const lives = new WeakMap<Relay, { isKilled: boolean }>();

beforeEach(async () => {
  bench = await openBench(anyHome());
  manager = bench.openManager();
  store = bench.openStore();
});

afterEach(() => bench.close());

function startRelay(options: Partial<RelayOptions> & Pick<RelayOptions, "producer">): Relay {
  const life = { isKilled: false };
  const release = async (holder: string): Promise<void> => {
    if (!life.isKilled) await store.relay.release(holder);
  };
  const relay = openRelay({ store, manager }, { relay: { ...store.relay, release }, ...options });
  lives.set(relay, life);
  onTestFinished(() => relay.stop());
  relay.start();
  return relay;
}

/** As a process ends that is killed: its leases stay. */
function killed(relay: Relay): Promise<void> {
  lives.get(relay)!.isKilled = true;
  return relay.stop();
}

/** Everything that main holds, by the same key. */
async function committed(): Promise<Map<string, string[]>> {
  const rows = await bench.sql<{ key: string; versions: string[] }>(
    `select s.namespace || '/' || s.id as key, array_agg(c.version::text order by c.version) as versions
       from agent_state.changes c join agent_state.states s using (state_no) group by 1`,
  );
  return new Map(rows.map(({ key, versions }) => [key, versions]));
}

test("a task that is ready is told, in no order, and holds nothing up where nobody takes it", async () => {
  const producer = new RecordingProducer();
  producer.fate = ({ topic }) => (topic === "ready" ? "refused" : "taken");
  const refused = startRelay({ producer, taskTopic: "ready" });
  await manager.tasks.push("alice", { id: "first" });
  await until(() => producer.messages.length > 0);
  expect(refused.figures).toMatchObject({ failed: 0 });
  await refused.stop();
  producer.fate = () => "taken";
  startRelay({ producer, taskTopic: "ready" });
  await manager.updateState("note", "note", { phase: "ready" });
  await manager.tasks.push("alice", { id: "second", kind: "build" });
  const wakeUps = (): OutgoingMessage[] =>
    producer.messages.filter(({ topic }) => topic === "ready");
  await until(() => wakeUps().length > 0);
  const [message] = wakeUps();
  expect(message).toMatchObject({
    tag: "build",
    keys: ["default/alice/2/second", "second", "alice"],
  });
  expect(message).not.toHaveProperty("group");
  expect(toldBy(message!)).toEqual({
    namespace: "default",
    stack: "alice",
    id: "second",
    kind: "build",
  });
});

test("a change becomes a CloudEvent, in order within its scope", async () => {
  const producer = new RecordingProducer();
  startRelay({ producer });
  const written = await manager.updateState(
    "a-1",
    "note",
    { n: 1 },
    {
      scope: "team",
      actor: "ann",
      cause: "why",
    },
  );
  await until(() => producer.messages.length > 0);
  const [message] = producer.messages;
  expect(message).toMatchObject({
    topic: "changes",
    group: "team",
    tag: "note",
    keys: ["default/team/1/a-1", "a-1", "team"],
    properties: {
      CE_specversion: "1.0",
      CE_id: "default/team/1/a-1",
      CE_type: "dev.agentruntime.state.changed.v1",
      CE_subject: "a-1",
    },
  });
  expect(JSON.parse(Buffer.from(message!.body).toString("utf8"))).toMatchObject({
    specversion: "1.0",
    id: "default/team/1/a-1",
    type: "dev.agentruntime.state.changed.v1",
    subject: "a-1",
    datacontenttype: "application/json",
    data: {
      namespace: "default",
      scope: "team",
      step: "1",
      id: "a-1",
      version: "1",
      kind: "update",
      data: { n: 1 },
      actor: "ann",
      cause: "why",
      digest: written.digest,
    },
  });
});

test("a large one carries digest and version in place of the document", async () => {
  const producer = new RecordingProducer();
  startRelay({ producer, maxInlineBytes: 1_024 });
  const { digest } = await manager.updateState("large", "note", { text: "x".repeat(2_000) });
  await until(() => producer.messages.length > 0);
  const [told] = producer.told();
  expect(told).toMatchObject({ id: "large", version: "1", digest });
  expect(told).not.toHaveProperty("data");
  expect(producer.messages[0]!.body.byteLength).toBeLessThanOrEqual(1_024);
});

test("scopes go side by side, and of one never two messages", async () => {
  const producer = new RecordingProducer();
  producer.before = () => new Promise((resolve) => setTimeout(resolve, 2));
  for (let n = 0; n < 20; n++) {
    const scopes = ["a", "b", "c", "d"];
    await Promise.all(scopes.map((id) => manager.updateState(id, "note", { n })));
  }
  startRelay({ producer, concurrency: 3 });
  await until(() => producer.messages.length === 80);
  expect(producer.mostInGroup).toBe(1);
  expect(producer.mostAtOnce).toBe(3);
  expect(firstOfEach(producer.told())).toEqual(await committed());
});

test("while the bus is away writes go on, the backlog is told, and it drains afterwards", async () => {
  const producer = new RecordingProducer();
  producer.fate = () => "refused";
  const relay = startRelay({ producer });
  for (let n = 0; n < 30; n++) await manager.updateState(`s${n % 3}`, "note", { n });
  await until(() => {
    const { health, failed, changesBehind } = relay.figures;
    return health === "unavailable" && failed > 0 && changesBehind === 30;
  });
  expect(relay.figures.reason).toBe("the bus is away");
  producer.fate = () => "taken";
  await until(() => relay.figures.health === "ok" && relay.figures.changesBehind === 0);
  expect(firstOfEach(producer.told())).toEqual(await committed());
});

test("what the bus will never take goes out small, else is parked, and blocks nothing behind it", async () => {
  const producer = new RecordingProducer();
  producer.fate = (message) => {
    const { id, version, data } = toldBy(message);
    if (id === "large") return data === undefined ? "taken" : "never";
    return id === "illegal" && version === "1" ? "never" : "taken";
  };
  for (const n of [1, 2]) {
    await manager.updateState("large", "note", { n, text: "x".repeat(100) }, { scope: "team" });
    await manager.updateState("illegal", "note", { n }, { scope: "team" });
  }
  const relay = startRelay({ producer });
  await until(() => relay.figures.health === "ok" && relay.figures.changesBehind === 0);
  expect(producer.told().map(({ id, version }) => `${id} ${version}`)).toEqual([
    "large 1",
    "large 2",
    "illegal 2",
  ]);
  expect(relay.figures).toMatchObject({ sent: 3, reduced: 2, parked: 1 });

  const { items } = await manager.parked.list();
  expect(items).toMatchObject([
    {
      topic: "changes",
      group: "team",
      messageId: "out default/team/2/illegal",
      code: "PAYLOAD_TOO_LARGE",
      detail: "the bus will never take this",
    },
  ]);
  const { number } = items[0]!;
  expect(JSON.parse((await manager.parked.get(number)).body)).not.toHaveProperty("data.data");
  await expect(manager.parked.redrive(number)).rejects.toMatchObject({ code: "INVALID_REQUEST" });
  expect((await manager.parked.list()).items).toEqual(items);
  await manager.parked.discard(number);
});

test("two services share the partitions; one that is killed is followed when its lease ends", async () => {
  const producers = [new RecordingProducer(), new RecordingProducer()];
  const relays = producers.map((producer) => startRelay({ producer, leaseMs: 1_500 }));
  await until(() => relays.every(({ figures }) => figures.partitions === 8));
  const scopes = Array.from({ length: 32 }, (_, n) => `scope-${n}`);
  for (const id of scopes) await manager.updateState(id, "note", 1);
  await until(() => producers[0]!.messages.length + producers[1]!.messages.length >= 32);
  expect(Math.min(...producers.map(({ messages }) => messages.length))).toBeGreaterThan(0);

  await killed(relays[0]!);
  for (const id of scopes) await manager.updateState(id, "note", 2);
  await until(() => relays[1]!.figures.partitions === 16);
  await until(() => relays[1]!.figures.health === "ok" && relays[1]!.figures.changesBehind === 0);
  const told = producers.flatMap((producer) => producer.told());
  expect(firstOfEach(told)).toEqual(await committed());
});

test("one that is stopped gives its partitions back at once", async () => {
  const first = startRelay({ producer: new RecordingProducer(), leaseMs: 600_000 });
  await until(() => first.figures.partitions === 16);
  await first.stop();
  const second = startRelay({ producer: new RecordingProducer(), leaseMs: 600_000 });
  await until(() => second.figures.partitions === 16);
});

test("a page that takes longer than the lease is sent once, and is done with", async () => {
  const producer = new RecordingProducer();
  for (let n = 0; n < 10; n++) await manager.updateState("slow", "note", { n });
  producer.before = () => new Promise((resolve) => setTimeout(resolve, 200));
  const relay = startRelay({ producer, leaseMs: 1_000 });
  const other = startRelay({ producer, leaseMs: 1_000 });
  await until(() => [relay, other].some(({ figures }) => figures.sent === 10));
  await until(() => [relay, other].every(({ figures }) => figures.changesBehind === 0));
  expect(firstOfEach(producer.told())).toEqual(await committed());
});

test("while writes wait for main it rests between pages, in proportion, and all goes out", async () => {
  const scopes = Array.from({ length: 1_100 }, (_, n) => `s${n}`); // more than a page
  await Promise.all(scopes.map((id) => manager.updateState(id, "note", {})));
  const producer = new RecordingProducer();
  let sentAt = 0;
  producer.before = async () => {
    await new Promise((resolve) => setTimeout(resolve, 1));
    sentAt = performance.now();
  };
  const reads: { readonly at: number; readonly sentAt: number }[] = [];
  const read: StateStore["relay"]["read"] = (...page) => {
    reads.push({ at: performance.now(), sentAt });
    return store.relay.read(...page);
  };
  const relay = openRelay(
    { store: { ...store, relay: { ...store.relay, read } }, manager },
    { producer, isBusy: () => true, share: 0.5 },
  );
  onTestFinished(() => relay.stop());
  relay.start();
  await until(() => relay.figures.sent === scopes.length);
  const [first, second] = reads;
  expect(second!.at - second!.sentAt).toBeGreaterThan(0.8 * (second!.sentAt - first!.at));
  expect(firstOfEach(producer.told())).toEqual(await committed());
});

test("changes that were pruned unsent are told, once, and the rest goes out", async () => {
  const producer = new RecordingProducer();
  const first = startRelay({ producer });
  await manager.updateState("sent", "note", 1);
  await until(() => producer.messages.length === 1);
  await first.stop();
  for (let n = 0; n < 5; n++) await manager.updateState("gone", "note", "x".repeat(n + 1));
  await until(async () => (await store.feed.bounds()).head.xid > 0n);
  await until(() => store.upkeep.prune(new Date(Date.now() + 60_000), 1_000));
  const relay = startRelay({ producer });
  await until(() => relay.figures.gaps > 0 && relay.figures.health === "ok");
  await manager.updateState("later", "note", 1);
  await until(() => producer.told().some(({ id }) => id === "later"));
  expect(relay.figures.gaps).toBe(1);
  expect(producer.told().filter(({ id }) => id === "gone")).not.toHaveLength(5);
});

test("whatever fails or dies, every change goes out, in order, and none is invented", async () => {
  const random = randomFrom(20_261_126);
  const producer = new RecordingProducer();
  producer.fate = () => {
    const chance = random(20);
    return chance === 0 ? "refused" : chance === 1 ? "taken, answer lost" : "taken";
  };
  let isWriting = true;
  const write = async (scope: number): Promise<void> => {
    for (let n = 0; isWriting; n++) {
      const id = `s${scope}-${random(3)}`;
      await manager.updateState(id, "note", { n }, { scope: `scope-${scope}` });
    }
  };
  const writing = Array.from({ length: 12 }, (_, scope) => write(scope));
  for (let life = 0; life < LIFES; life++) {
    const relays = [1, 2].map(() => startRelay({ producer, leaseMs: 300, concurrency: 4 }));
    const sent = producer.messages.length;
    await until(() => producer.messages.length >= sent + 20 + random(60));
    await Promise.all(relays.map((relay) => (random(2) === 0 ? relay.stop() : killed(relay))));
  }
  isWriting = false;
  await Promise.all(writing);
  producer.fate = () => "taken";
  const last = startRelay({ producer, leaseMs: 300 });
  await until(() => last.figures.partitions === 16);
  const all = await committed();
  await until(() => last.figures.health === "ok" && last.figures.changesBehind === 0);
  expect(firstOfEach(producer.told())).toEqual(all);
  const digests = await bench.sql<{ digest: string }>(
    `select encode(digest, 'hex') as digest from agent_state.changes`,
  );
  const known = new Set(digests.map(({ digest }) => digest));
  expect(producer.told().filter(({ digest }) => !known.has(digest.replace(/^.*:/, "")))).toEqual(
    [],
  );
});
