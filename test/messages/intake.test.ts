import { afterEach, beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { InProcessBus } from "../../src/bus/in-process-bus.ts";
import { HttpStateClient } from "../../src/client/http-client.ts";
import { Intake } from "../../src/intake/intake.ts";
import type { IntakeOptions } from "../../src/intake/intake.ts";
import type { StateManager } from "../../src/manager/state-manager.ts";
import { updateKind } from "../../src/intake/parse-update.ts";
import type { MessageKind } from "../../src/state/message-kind.ts";
import { silentLog } from "../../src/service/log.ts";
import { AgentRuntimeError } from "../../src/state/errors.ts";
import type { ParkedMessage } from "../../src/state/parked-port.ts";
import type { StateStore } from "../../src/state/ports.ts";
import { serve } from "../server/serve.ts";
import { openBench } from "../support/manager.ts";
import type { Bench } from "../support/manager.ts";
import { until } from "../support/until.ts";
import { anyHome } from "./parts.ts";
import { eventOf, POISON } from "./poison.ts";

const TOPIC = "updates";
const LIMITS = { bodyBytes: 4 * 1024 * 1024, dataDepth: 64, changesetChanges: 1_000 };

let bench: Bench;
let manager: StateManager;
let store: StateStore;
let bus: InProcessBus;

beforeEach(async () => {
  bench = await openBench(anyHome());
  manager = bench.openManager();
  store = bench.openStore();
  bus = new InProcessBus();
});

afterEach(async () => {
  await bus.close();
  await bench.close();
});

const kindOver = (commit: Parameters<typeof updateKind>[0]): MessageKind =>
  updateKind(commit, LIMITS);

function startIntake(options: Partial<IntakeOptions> = {}): Intake {
  const invisibleMs = 1_000;
  const consume = { topic: TOPIC, group: "services", awaitMs: 100, invisibleMs, batchSize: 16 };
  const intake = new Intake({
    consumer: bus.openConsumer(consume),
    parked: store.parked,
    kind: kindOver((changeset, call) => manager.commit(changeset, call)),
    invisibleMs,
    log: silentLog,
    ...options,
  });
  intake.start();
  onTestFinished(() => intake.stop());
  return intake;
}

async function send(body: unknown, group = "agent"): Promise<void> {
  const bytes = body instanceof Uint8Array ? body : Buffer.from(JSON.stringify(body));
  await bus.producer.send({ topic: TOPIC, body: bytes, group });
}

async function parked(): Promise<readonly ParkedMessage[]> {
  return (await manager.parked.list()).items;
}

test("updates and steps are applied in order, each once however often it comes", async () => {
  const intake = startIntake();
  for (let n = 1; n <= 20; n++) {
    const event = eventOf({ id: "a", type: "note", scope: "agent", data: { n }, actor: "hook" });
    await send(event);
    if (n % 3 === 0) await send(event);
  }
  const changes = [
    { id: "b", type: "note", data: 1 },
    { id: "c", type: "note", data: 2 },
  ];
  const step = eventOf({ changes }, { type: "dev.agentruntime.state.step.v1", subject: "agent" });
  await send(step);
  await send(step);
  await until(() => intake.figures.applied === 28);
  const history = await manager.history("a");
  expect(history.items.map(({ version }) => version)[0]).toBe(20n);
  expect(await manager.getState("a", { consistency: "strong" })).toMatchObject({ data: { n: 20 } });
  expect(await manager.getState("c", { consistency: "strong" })).toMatchObject({
    scope: "agent",
    step: 21n,
    version: 1n,
  });
  expect(intake.figures).toMatchObject({ parked: 0, inFlight: 0, health: "ok" });
});

test("an event goes into the namespace that it names", async () => {
  const intake = startIntake();
  await send(eventOf({ id: "a", type: "note", data: 1 }, { namespace: "acme" }));
  await until(() => intake.figures.applied === 1);
  expect(await manager.getState("a", { namespace: "acme" })).toMatchObject({ version: 1n });
});

test("what can never be applied is parked with its reason, and holds nobody back", async () => {
  await manager.updateState("known", "task", 1);
  const intake = startIntake();
  for (const [, , body] of POISON) await send(body);
  await send(eventOf({ id: "after", type: "note", data: 1 }));
  await until(() => intake.figures.applied === 1 && intake.figures.parked === POISON.length);
  const found = await parked();
  expect(found.map(({ code }) => code)).toEqual(POISON.map(([, code]) => code));
  for (const { detail, topic, group, attempts } of found) {
    expect({ topic, group, attempts }).toEqual({ topic: TOPIC, group: "agent", attempts: 1 });
    expect(detail.length).toBeGreaterThan(10);
  }
  expect(await store.parked.figures()).toMatchObject({ messages: POISON.length });
});

test("a group with a name that the database cannot keep holds nothing up either", async () => {
  const intake = startIntake();
  await send(Buffer.from("{"), "a\u0000b");
  await until(() => intake.figures.parked === 1);
  expect(await parked()).toMatchObject([{ group: "a\uFFFDb", attempts: 1 }]);
  expect(intake.figures).toMatchObject({ health: "ok", retried: 0 });
});

test("a scope on hold makes its messages wait, not those of others; on release they apply", async () => {
  await manager.updateState("held", "note", 0);
  await manager.hold("held");
  const intake = startIntake();
  await send(eventOf({ id: "held", type: "note", data: 1 }), "held");
  await send(eventOf({ id: "held", type: "note", data: 2 }), "held");
  await send(eventOf({ id: "free", type: "note", data: 1 }), "free");
  await until(() => intake.figures.applied === 1 && intake.figures.retried > 0);
  await manager.release("held");
  await until(() => intake.figures.applied === 3);
  const { items } = await manager.history("held");
  expect(items.map(({ version }) => version)).toEqual([3n, 2n, 1n]);
  expect(await manager.getState("held", { consistency: "strong" })).toMatchObject({ data: 2 });
  expect(await parked()).toEqual([]);
});

test("while main does not answer nothing is parked or lost", async () => {
  let isAway = true;
  const intake = startIntake({
    kind: kindOver(async (changeset, call) => {
      if (isAway) throw new AgentRuntimeError("UNAVAILABLE", "main is away");
      return await manager.commit(changeset, call);
    }),
  });
  for (let n = 1; n <= 5; n++) await send(eventOf({ id: "a", type: "note", data: n }));
  await until(() => intake.figures.retried >= 2);
  isAway = false;
  await until(() => intake.figures.applied === 5);
  expect(await manager.getState("a", { consistency: "strong" })).toMatchObject({
    version: 5n,
    data: 5,
  });
  expect(await parked()).toEqual([]);
});

test("a fault that nobody foresaw is tried again, and parked in the end", async () => {
  const intake = startIntake({
    attempts: 2,
    kind: kindOver(() => Promise.reject(new Error("unforeseen"))),
  });
  await send(eventOf({ id: "a", type: "note", data: 1 }));
  await until(() => intake.figures.parked === 1);
  expect(intake.figures.retried).toBe(1);
  expect(await parked()).toMatchObject([{ code: "INTERNAL", detail: "unforeseen" }]);
});

test("work that takes longer than a message is held is done once", async () => {
  let calls = 0;
  const options: Partial<IntakeOptions> = {
    kind: kindOver(async (changeset, call) => {
      calls += 1;
      await new Promise((resolve) => setTimeout(resolve, 2_500));
      return await manager.commit(changeset, call);
    }),
  };
  const intakes = [startIntake(options), startIntake(options)];
  await send(eventOf({ id: "a", type: "note", data: 1 }));
  await until(() => intakes.some(({ figures }) => figures.applied === 1));
  await Promise.all(intakes.map((intake) => intake.stop()));
  expect(calls).toBe(1);
});

test("where there is no room to park, it waits at the bus, and others go on", async () => {
  let hasRoom = false;
  const intake = startIntake({
    parked: { park: async (order) => hasRoom && (await store.parked.park(order)) },
  });
  await send(Buffer.from("{"), "bad");
  await send(eventOf({ id: "a", type: "note", data: 1 }), "good");
  await until(() => intake.figures.applied === 1 && intake.figures.retried > 0);
  await until(() => intake.figures.reason?.includes("no room"));
  hasRoom = true;
  await until(() => intake.figures.parked === 1);
  await until(() => intake.figures.health === "ok");
});

test("what may be parked has a bound in messages and in bytes", async () => {
  const order = (n: number, size: number): unknown[] => [`m${n}`, "x".repeat(size)];
  const park = async (values: unknown[], limits: [number, number]): Promise<boolean> => {
    const [row] = await bench.sql<{ done: boolean }>(
      `select agent_state_api.park_message('t', $1, 'n', null, 'INTERNAL', 'd', encode($2::text::bytea, 'base64'), $3, $4) as done`,
      [...values, ...limits],
    );
    return row!.done;
  };
  expect(await park(order(1, 10), [2, 100])).toBe(true);
  expect(await park(order(2, 91), [2, 100])).toBe(false);
  expect(await park(order(2, 90), [2, 100])).toBe(true);
  expect(await park(order(3, 0), [2, 100])).toBe(false);
  expect(await park(order(1, 10), [2, 100])).toBe(true);
  expect(await store.parked.figures()).toEqual({ messages: 2, bytes: 100 });
});

describe.each(["the library", "the HTTP client"])("parked messages over %s", (way) => {
  test("are listed in pages, shown, redriven and discarded", async () => {
    let face: Pick<StateManager, "parked"> | HttpStateClient = manager;
    if (way !== "the library") {
      const served = await serve(manager);
      const client = HttpStateClient.open({ url: served.url });
      face = client;
      onTestFinished(async () => {
        await client.close();
        await served.close();
      });
    }
    await manager.updateState("t", "task", 1);
    const intake = startIntake();
    const early = eventOf({ id: "t", type: "task", phase: "completed", data: 2 });
    await send(early);
    await send(Buffer.from([0xff]));
    await until(() => intake.figures.parked === 2);

    const first = await face.parked.list({ limit: 1 });
    const second = await face.parked.list({ limit: 1, after: first.next! });
    expect([first.items[0]!.code, second.items[0]!.code]).toEqual([
      "ILLEGAL_TRANSITION",
      "INVALID_JSON",
    ]);
    expect(second.next).toBeUndefined();
    const { number } = first.items[0]!;
    const shown = await face.parked.get(number);
    expect(JSON.parse(shown.body)).toEqual(early);
    const other = await face.parked.get(second.items[0]!.number);
    expect(other).toMatchObject({ encoding: "base64", body: "/w==" });
    await expect(face.parked.get(number, { namespace: "acme" })).rejects.toMatchObject({
      code: "PARKED_NOT_FOUND",
    });

    await expect(face.parked.redrive(number)).rejects.toMatchObject({ code: "ILLEGAL_TRANSITION" });
    expect((await face.parked.get(number)).attempts).toBe(2);
    await manager.updateState("t", "task", 1, { phase: "ready" });
    await manager.updateState("t", "task", 1, { phase: "working" });
    expect(await face.parked.redrive(number)).toMatchObject({ scope: "t", step: 4n });
    await face.parked.discard(second.items[0]!.number);
    expect((await face.parked.list()).items).toEqual([]);
    const gone = { code: "PARKED_NOT_FOUND" };
    await expect(face.parked.redrive(number)).rejects.toMatchObject(gone);
    await expect(face.parked.discard(number)).rejects.toMatchObject(gone);
  });
});
