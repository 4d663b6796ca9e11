import { afterEach, beforeEach, expect, onTestFinished, test } from "vitest";
import { InProcessBus } from "../../src/bus/in-process-bus.ts";
import { HttpStateClient } from "../../src/client/http-client.ts";
import { Intake } from "../../src/intake/intake.ts";
import type { StateManager } from "../../src/manager/state-manager.ts";
import { silentLog } from "../../src/service/log.ts";
import { Tracing } from "../../src/service/tracing.ts";
import { parseFact } from "../../src/state/lifecycle-fact.ts";
import type { OutgoingMessage } from "../../src/state/message-bus.ts";
import type { StateStore } from "../../src/state/ports.ts";
import { serve } from "../server/serve.ts";
import { openBench } from "../support/manager.ts";
import type { Bench } from "../support/manager.ts";
import { tell } from "../support/pod-stories.ts";
import { recordSpans } from "../support/spans.ts";
import type { Spans } from "../support/spans.ts";
import { until } from "../support/until.ts";
import { anyHome, openRelay, RecordingProducer } from "./parts.ts";

const TRACE = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER = `00-${TRACE}-00f067aa0ba902b7-01`;

const FACT = parseFact(tell("kata", ["exit", 9], { podUid: "p1", exitCode: 3, labels: {} }));

let bench: Bench;
let manager: StateManager;
let store: StateStore;
let producer: RecordingProducer;
let spans: Spans;

beforeEach(async () => {
  spans = recordSpans();
  bench = await openBench(anyHome());
  producer = new RecordingProducer();
  manager = bench.openManager({ tracing: new Tracing(true) });
  store = bench.openStore();
});

afterEach(async () => {
  spans.end();
  await bench.close();
});

function startRelay(): void {
  const relay = openRelay({ store, manager }, { producer });
  onTestFinished(() => relay.stop());
  relay.start();
}

/** The trace that a message says in its event, and in its property: both or none. */
function traceIn({ body, properties }: OutgoingMessage): string | undefined {
  const { traceparent } = JSON.parse(Buffer.from(body).toString()) as { traceparent?: string };
  expect(properties?.["traceparent"]).toBe(traceparent);
  return traceparent;
}

/** By the ids of the states, once so many messages are out. */
async function traces(count: number): Promise<Map<string, string | undefined>> {
  await until(() => producer.messages.length >= count);
  return new Map(producer.messages.map((message) => [message.keys![1]!, traceIn(message)]));
}

function spanOf(traceparent: string | undefined) {
  return spans.recorded.find(({ spanId }) => spanId === traceparent?.split("-")[2]);
}

test("a change carries the span of the call that made it, where its trace is recorded", async () => {
  startRelay();
  const write = (id: string) => manager.updateState(id, "note", {});
  const callers: string[] = [];
  await spans.inSpan(true, (traceparent) => (callers.push(traceparent), write("recorded")));
  await spans.inSpan(false, () => write("not-recorded"));
  const options = { traceparent: CALLER };
  await manager.updateState("given", "note", {}, options);
  await manager.tasks.push("stack", { id: "task", ...options });
  const found = await traces(4);

  const [, callersTrace, callersSpan] = callers[0]!.split("-");
  expect(spanOf(found.get("recorded"))).toMatchObject({
    name: "agent_state.update",
    traceId: callersTrace,
    parentSpanId: callersSpan,
  });
  expect(found.has("not-recorded")).toBe(true);
  expect(found.get("not-recorded")).toBeUndefined();
  expect(spanOf(found.get("given"))).toMatchObject({ traceId: TRACE });
  expect(found.get("task")).toBe(CALLER);
});

test("without a trace, or with what is none, no message says one, and nothing is refused", async () => {
  spans.end(); // As where nobody brought an SDK.
  startRelay();
  await manager.updateState("bare", "note", {});
  await manager.updateState("wrong", "note", {}, { traceparent: "00-what-01" });
  await manager.tasks.push("stack", { id: "task" });
  const found = await traces(3);
  expect([...found]).toEqual([
    ["bare", undefined],
    ["wrong", undefined],
    ["task", undefined],
  ]);
  const [row] = await bench.sql<{ count: string }>(
    "select count(traceparent) as count from agent_state.changes",
  );
  expect(Number(row!.count)).toBe(0);
});

test("a request's traceparent goes on through every route that writes", async () => {
  startRelay();
  const service = await serve(manager);
  onTestFinished(() => service.close());
  const client = HttpStateClient.open({ url: service.url });
  onTestFinished(() => client.close());
  const call = { traceparent: CALLER };
  await client.updateState("put", "note", { n: [] }, call);
  await client.patchState("put", [{ op: "add", path: "/n/-", value: 1 }], call);
  await client.commit({ scope: "s", changes: [note("step")] }, call);
  await client.commitBatch([{ scope: "b", changes: [note("batch")] }], call);
  await client.tasks.push("stack", { id: "task", ...call });
  await client.lifecycle.publish([FACT], call);
  await client.updateState("bare", "note", {});
  const found = await traces(7);
  const { bare, ...traced } = Object.fromEntries(found);
  expect(Object.keys(traced).toSorted()).toEqual(["batch", "pod:p1", "put", "step", "task"]);
  for (const [id, traceparent] of Object.entries(traced)) {
    expect(traceparent?.split("-")[1], id).toBe(TRACE);
  }
  expect(bare?.split("-")[1]).not.toBe(TRACE);
});

test("an update that came in is part of the trace of its message, and so is the change that goes out", async () => {
  const bus = new InProcessBus();
  onTestFinished(() => bus.close());
  startRelay();
  const invisibleMs = 1_000;
  const consume = { topic: "in", group: "g", awaitMs: 100, invisibleMs, batchSize: 16 };
  const intake = new Intake({
    consumer: bus.openConsumer(consume),
    parked: store.parked,
    kind: manager.messageKinds.updates,
    invisibleMs,
    log: silentLog,
  });
  onTestFinished(() => intake.stop());
  intake.start();
  const nearer = CALLER.replace(TRACE, "a".repeat(32));
  await send("by-event", { traceparent: CALLER });
  await send("by-property", { traceparent: CALLER }, { traceparent: nearer });
  await send("untraced", { traceparent: { not: "text" } });
  const found = await traces(3);
  expect(spanOf(found.get("by-event"))).toMatchObject({
    name: "agent_state.commit",
    traceId: TRACE,
    parentSpanId: "00f067aa0ba902b7",
  });
  expect(spanOf(found.get("by-property"))).toMatchObject({ traceId: "a".repeat(32) });
  expect(spanOf(found.get("untraced"))).toMatchObject({ parentSpanId: undefined });
  expect(await manager.parked.list()).toEqual({ items: [] });

  async function send(id: string, said: object, properties?: Record<string, string>) {
    const data = { id, type: "note", data: {} };
    const type = "dev.agentruntime.state.update.v1";
    const event = { specversion: "1.0", id, source: "/t", type, data, ...said };
    const body = Buffer.from(JSON.stringify(event));
    await bus.producer.send({ topic: "in", body, ...(properties && { properties }) });
  }
});

test("a fact that goes over the bus carries its caller's trace", async () => {
  const bus = new InProcessBus();
  onTestFinished(() => bus.close());
  const openConsumer: InProcessBus["openConsumer"] = (options) => bus.openConsumer(options);
  const told = bench.openManager({ bus: { producer, openConsumer, close: () => bus.close() } });
  await told.lifecycle.publish([FACT], { traceparent: CALLER });
  await spans.inSpan(true, async (traceparent) => {
    await told.lifecycle.publish([FACT]);
    expect(producer.messages.map(traceIn)).toEqual([CALLER, traceparent]);
  });
  await told.lifecycle.publish([FACT]);
  expect(traceIn(producer.messages[2]!)).toBeUndefined();
});

function note(id: string) {
  return { op: "update", id, type: "note", data: {} } as const;
}
