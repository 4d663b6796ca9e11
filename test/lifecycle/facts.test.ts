import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { InProcessBus } from "../../src/bus/in-process-bus.ts";
import { HttpStateClient } from "../../src/client/http-client.ts";
import { Intake } from "../../src/intake/intake.ts";
import type { StateManager } from "../../src/manager/state-manager.ts";
import { silentLog } from "../../src/service/log.ts";
import type { JsonObject } from "../../src/state/json.ts";
import { parseFact } from "../../src/state/lifecycle-fact.ts";
import type { LifecycleFact } from "../../src/state/lifecycle-fact.ts";
import type { State } from "../../src/state/state.ts";
import { anyHome } from "../messages/parts.ts";
import { serve } from "../server/serve.ts";
import { openBench } from "../support/manager.ts";
import type { Bench } from "../support/manager.ts";
import { POD_STORIES, tell } from "../support/pod-stories.ts";
import { until } from "../support/until.ts";

const POD = "pod:3f5c0a6e-uid";
const MAIN = { container: "main", incarnation: "c-1" };
const TOPIC = "agent_lifecycle_events";

let bench: Bench;
let manager: StateManager;
let namespaces = 0;
let namespace = "";

beforeAll(async () => {
  bench = await openBench(anyHome());
  manager = bench.openManager();
});

afterAll(() => bench.close());

function factsOf(told: readonly JsonObject[]): LifecycleFact[] {
  return told.map((fact) => parseFact(fact));
}

/** Tells them one after the other, as they would come. */
async function tellAll(...told: readonly JsonObject[]): Promise<void> {
  for (const fact of factsOf(told)) await manager.lifecycle.publish([fact], { namespace });
}

function begin(): void {
  namespace = `n${++namespaces}`;
}

function read(id: string): Promise<State> {
  return manager.getState(id, { namespace, consistency: "strong" });
}

async function phasesOf(id: string): Promise<(string | null)[]> {
  const { items } = await manager.history(id, { namespace, consistency: "strong" });
  return items.map(({ phase }) => phase).toReversed();
}

test.each(Object.entries(POD_STORIES))("%s is a state, whatever the order", async (_, story) => {
  begin();
  const facts = factsOf(story.facts);
  await manager.lifecycle.publish(facts.toReversed(), { namespace });
  await manager.lifecycle.publish(facts, { namespace });
  const { type, phase, data, version } = await read(POD);
  expect({ type, phase, data }).toMatchObject({
    type: "lifecycle",
    phase: story.ends.observed,
    data: { ...story.ends, agent: "alice", podName: "agent-7" },
  });
  await manager.lifecycle.publish(facts, { namespace });
  const again = await read(POD);
  expect(again.version).toBe(version);
  expect(again.expiresAt !== null).toBe(phase === "deleted");
});

test("what is wanted is somebody else's to say, and is kept", async () => {
  begin();
  await tellAll(tell("kata", ["start", 10], MAIN));
  await manager.mergeState(POD, { desired: "paused" }, { namespace });
  await tellAll(tell("pod", ["ready", 20]));
  expect(await read(POD)).toMatchObject({
    phase: "running",
    data: { desired: "paused", ready: true },
  });
  await tellAll(tell("pod", ["preStop", 30]));
  expect(await read(POD)).toMatchObject({ phase: "stopping", data: { desired: "deleted" } });
});

test("a document that somebody spoilt is begun anew", async () => {
  begin();
  await tellAll(tell("kata", ["start", 10], MAIN));
  await manager.updateState(POD, "lifecycle", { spoilt: true }, { namespace });
  await tellAll(tell("kata", ["exit", 20], { ...MAIN, exitCode: 4 }));
  expect(await read(POD)).toMatchObject({ phase: "failed", data: { exitCode: 4 } });
});

test("late facts are noted, and take nothing back", async () => {
  begin();
  await tellAll(
    tell("kata", ["exit", 90], { ...MAIN, exitCode: 1 }),
    tell("kata", ["start", 14], MAIN),
    tell("kata", ["start", 14], MAIN),
  );
  expect(await phasesOf(POD)).toEqual(["failed", "failed"]);
  expect((await read(POD)).data).toMatchObject({ late: [{ fact: "start", container: "main" }] });
});

test("the agent goes with its pod, and with its next one", async () => {
  begin();
  await tellAll(
    tell("pod", ["create", 0]),
    tell("kata", ["start", 10], MAIN),
    tell("pod", ["nodeLost", 100]),
    tell("pod", ["ready", 200]),
    tell("hook", ["preStop", 300], { container: "main" }),
    tell("kata", ["exit", 310], { ...MAIN, exitCode: 143 }),
    tell("pod", ["create", 400], { podUid: "next", podName: "agent-7b" }),
    tell("kata", ["start", 410], { ...MAIN, incarnation: "c-9", podUid: "next" }),
    // Of the pod before: it is nobody's any more.
    tell("pod", ["deleted", 420]),
    tell("kata", ["exit", 500], { ...MAIN, incarnation: "c-9", podUid: "next", exitCode: 1 }),
  );
  const first = ["registered", "starting", "idle", "unreachable", "idle", "draining", "stopped"];
  const next = ["registered", "starting", "idle", "unreachable", "failed"];
  expect(await phasesOf("alice")).toEqual([...first, ...next]);
  expect(await read("alice")).toMatchObject({
    type: "agent",
    data: { pod: { uid: "next", incarnation: "c-9", phase: "failed" } },
  });
});

test.each([
  ["stopped", tell("pod", ["preStop", 300])],
  ["failed", tell("kata", ["exit", 300], { ...MAIN, exitCode: 1 })],
])(
  "of a pod that %s and was deleted the agent ends so, told at once or one by one",
  async (end, fact) => {
    const told = [tell("kata", ["start", 10], MAIN), fact, tell("pod", ["deleted", 400])];
    begin();
    await tellAll(...told);
    expect((await read("alice")).phase).toBe(end);
    begin();
    await tellAll(told[0]!);
    await manager.lifecycle.publish(factsOf(told.slice(1)), { namespace });
    expect((await read("alice")).phase).toBe(end);
  },
);

test("what is in an agent's document besides its pod stays", async () => {
  begin();
  await manager.updateState("alice", "agent", { goal: "book a flight" }, { namespace });
  await tellAll(tell("kata", ["start", 10], MAIN));
  expect(await read("alice")).toMatchObject({
    phase: "idle",
    data: { goal: "book a flight", pod: { uid: "3f5c0a6e-uid" } },
  });
});

test("what its workers held is free when its pod ends; who works under that name by then keeps his", async () => {
  begin();
  const { tasks } = manager;
  for (const stack of ["a", "b", "c"]) await tasks.push(stack, { namespace });
  const claim = (worker: string, stack: string): Promise<unknown> =>
    tasks.claim({ namespace, worker, incarnation: stack, stacks: [stack], limit: 1 });
  await claim("agent-7.1", "a");
  await claim("agent-70.1", "b");
  const [{ now }] = (await bench.sql<{ now: Date }>("select clock_timestamp() as now")) as [
    { now: Date },
  ];
  const at = new Date(now.getTime() + 1_000).toISOString();
  await until(async () => {
    const [row] = await bench.sql<{ over: boolean }>("select clock_timestamp() > $1 as over", [at]);
    return row!.over;
  });
  await claim("agent-7.1", "c");
  await tellAll({ ...tell("kata", ["exit", 0], { ...MAIN, exitCode: 137 }), at });
  const phases = await Promise.all(
    ["a", "b", "c"].map(async (stack) => (await tasks.stack(stack, { namespace }))[0]!.phase),
  );
  expect(phases).toEqual(["ready", "working", "working"]);
  expect(manager.lifecycleFigures.released).toBe(1);
});

test("over the bus each pod's facts are taken in their order; what is no fact is parked and can be redriven", async () => {
  begin();
  const bus = new InProcessBus();
  const taker = bench.openManager({ bus });
  const consumer = bus.openConsumer({
    topic: TOPIC,
    group: "lifecycle",
    awaitMs: 100,
    invisibleMs: 30_000,
    batchSize: 16,
  });
  const parked = bench.openStore().parked;
  const kind = taker.messageKinds.facts;
  const intake = new Intake({ consumer, parked, kind, invisibleMs: 30_000, log: silentLog });
  intake.start();
  onTestFinished(async () => {
    await intake.stop();
    await bus.close();
  });
  const { facts, ends } = POD_STORIES["a pod that is deleted"]!;
  const pods = ["p1", "p2", "p3"];
  const all = pods.flatMap((podUid) => facts.map((fact) => ({ ...fact, podUid, labels: {} })));
  await taker.lifecycle.publish(factsOf(all), { namespace });
  const body = Buffer.from(
    JSON.stringify({ specversion: "1.0", id: "1", source: "/x", type: "y" }),
  );
  await bus.producer.send({ topic: TOPIC, body, group: "p1" });
  await until(() => intake.figures.applied + intake.figures.parked === all.length + 1);
  for (const podUid of pods) {
    expect(await read(`pod:${podUid}`)).toMatchObject({ phase: ends.observed });
    expect((await phasesOf(`pod:${podUid}`)).at(0)).toBe("requested");
  }
  const [bad] = (await taker.parked.list()).items;
  expect(bad).toMatchObject({ code: "INVALID_REQUEST", topic: TOPIC });
  await expect(taker.parked.redrive(bad!.number)).rejects.toThrow(
    /is no event that is taken in here/,
  );
  await taker.parked.discard(bad!.number);
});

test("a service takes facts from who may write, and says which one it does not take", async () => {
  const tokens = [
    { name: "writes", token: "w".repeat(32), namespace: "tenant", role: "writer" },
    { name: "reads", token: "r".repeat(32), namespace: null, role: "reader" },
  ] as const;
  const served = await serve(manager, { auth: { tokens } });
  const clientOf = (token: string): HttpStateClient =>
    HttpStateClient.open({ url: served.url, token });
  const writer = clientOf("w".repeat(32));
  const reader = clientOf("r".repeat(32));
  onTestFinished(async () => {
    await Promise.all([writer.close(), reader.close()]);
    await served.close();
  });
  const facts = factsOf([tell("kata", ["start", 10], MAIN)]);
  await writer.lifecycle.publish(facts);
  expect(await writer.getState(POD)).toMatchObject({ namespace: "tenant", phase: "running" });
  await expect(reader.lifecycle.publish(facts)).rejects.toMatchObject({ code: "FORBIDDEN" });
  const spoilt = [facts[0]!, { ...facts[0]!, fact: "begin" as "start" }];
  for (const face of [writer, manager]) {
    await expect(face.lifecycle.publish(spoilt)).rejects.toMatchObject({
      code: "INVALID_REQUEST",
      message: expect.stringContaining(`facts[1]: "fact" must be one of`) as unknown,
    });
    const many = Array.from({ length: 501 }, () => facts[0]!);
    await expect(face.lifecycle.publish(many)).rejects.toMatchObject({ code: "PAYLOAD_TOO_LARGE" });
  }
});
