import { randomUUID } from "node:crypto";
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from "vitest";
import type { ReceivedChange } from "../../src/consumer/read-received.ts";
import type { ChangeContext } from "../../src/consumer/state-consumer.ts";
import type { StateManager } from "../../src/manager/state-manager.ts";
import { openStateConsumer } from "../../src/runtime.ts";
import type { OpenConsumerOptions } from "../../src/runtime/state-consumer.ts";
import type { RolledBack } from "../../src/state/rolled-back-event.ts";
import { changeMessage } from "../../src/state/change-event.ts";
import type { MessageBus } from "../../src/state/message-bus.ts";
import type { StateStore } from "../../src/state/ports.ts";
import type { Change } from "../../src/state/state.ts";
import { recordedTrace } from "../../src/service/tracing.ts";
import { openBench } from "../support/manager.ts";
import type { Bench } from "../support/manager.ts";
import { recordSpans } from "../support/spans.ts";
import { until } from "../support/until.ts";
import { anyHome, openRelay } from "./parts.ts";

export interface ConsumedBus {
  readonly bus: MessageBus;
  newTopic(): Promise<{ readonly topic: string; readonly group: string }>;
  close(): Promise<void>;
}

/** What users' consumers may rely on, whatever the changes travel on. */
export function stateConsumerContract(name: string, open: () => Promise<ConsumedBus>): void {
  describe(`a consumer of changes: ${name}`, () => {
    let bench: Bench;
    let manager: StateManager;
    let store: StateStore;
    let opened: ConsumedBus;
    let place: { readonly topic: string; readonly group: string };
    const got: (ReceivedChange & { readonly missed: ChangeContext["missed"] })[] = [];

    beforeEach(async () => {
      got.length = 0;
      bench = await openBench(anyHome());
      manager = bench.openManager();
      store = bench.openStore();
      opened = await open();
      place = await opened.newTopic();
    });

    afterEach(async () => {
      await opened.close();
      await bench.close();
    });

    const keep: OpenConsumerOptions["onChange"] = (change, { missed }) => {
      got.push({ ...change, missed });
    };

    const consume = (options: Partial<OpenConsumerOptions> = {}) => {
      const settings = { rocketmq: { stateTopic: place.topic }, telemetry: { traces: true } };
      const consumer = openStateConsumer(settings, {
        group: place.group,
        bus: opened.bus,
        onChange: keep,
        ...options,
      });
      onTestFinished(() => consumer.close());
      return consumer;
    };

    const startRelay = (options: { readonly maxInlineBytes?: number } = {}): void => {
      const relay = openRelay(
        { store, manager },
        { producer: opened.bus.producer, topic: place.topic, ...options },
      );
      onTestFinished(() => relay.stop());
      relay.start();
    };

    /** Sends the changes of a state as messages, those of the given versions, in that order. */
    const send = async (id: string, versions: readonly bigint[]): Promise<void> => {
      const { items } = await manager.history(id);
      for (const version of versions) {
        const entry = items.find((one) => one.version === version)!;
        const { data, scope, type } = await manager.getState(id, { version });
        const change: Change = {
          ...entry,
          namespace: "default",
          id,
          type,
          scope,
          data,
          cursor: "",
        };
        const limits = { topic: place.topic, maxInlineBytes: 100_000 };
        await opened.bus.producer.send(changeMessage(change, limits));
      }
    };

    const versions = (): string[] => got.map(({ id, version }) => `${id} ${version}`);
    const newId = (): string => `consumed-${randomUUID().slice(0, 8)}`;

    test("brings every change, each scope in order, and what it builds is what main has", async () => {
      const consumer = consume();
      startRelay();
      const scopes = ["one", "two", "three"].map((scope) => `${scope}-${newId()}`);
      for (let turn = 1; turn <= 5; turn++) {
        await Promise.all(
          scopes.map((scope) => manager.updateState(`${scope}-s`, "note", { turn }, { scope })),
        );
      }
      await manager.deleteState(`${scopes[0]}-s`);
      await until(() => consumer.figures.handled === 16);
      for (const scope of scopes) {
        const own = got.filter((change) => change.scope === scope);
        expect(own.map(({ step }) => step)).toEqual(own.map((_, index) => BigInt(index + 1)));
        const { digest } = (await manager.history(`${scope}-s`, { limit: 1 })).items[0]!;
        expect(own.at(-1)!.digest).toBe(digest);
        expect(own.at(-1)!.data).toEqual(scope === scopes[0] ? null : { turn: 5 });
      }
      expect(consumer.figures).toMatchObject({ dropped: 0, missed: 0, fetched: 0, health: "ok" });
    });

    test("a handler goes on from the call that made the change, where its trace was recorded", async () => {
      const spans = recordSpans();
      onTestFinished(() => spans.end());
      const [traceId, spanId] = ["4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"];
      const traceparent = `00-${traceId}-${spanId}-01`;
      const seen = new Map<string, (string | null | undefined)[]>();
      const consumer = consume({
        onChange: (change) => void seen.set(change.id, [change.traceparent, recordedTrace()]),
      });
      startRelay();
      const [traced, untraced] = [newId(), newId()];
      await manager.updateState(traced, "note", {}, { traceparent });
      await manager.updateState(untraced, "note", {});
      await until(() => consumer.figures.handled === 2);
      const handling = spans.recorded.filter(({ name }) => name === "agent_state.consume");
      const goesOn = handling.find(({ parentSpanId }) => parentSpanId !== undefined)!;
      expect(goesOn).toMatchObject({ traceId, parentSpanId: spanId });
      expect(seen.get(traced)).toEqual([traceparent, `00-${traceId}-${goesOn.spanId}-01`]);
      const ownTrace = handling.find((one) => one !== goesOn)!;
      expect(ownTrace.traceId).not.toBe(traceId);
      expect(seen.get(untraced)).toEqual([undefined, expect.stringContaining(ownTrace.traceId)]);
    });

    test("tells that a scope went back, before the changes by which it did", async () => {
      const told: (RolledBack | string)[] = [];
      const consumer = consume({
        onChange: (change) => void told.push(`${change.id} ${change.version} ${change.kind}`),
        onRolledBack: (rolledBack) => void told.push(rolledBack),
      });
      startRelay();
      const [scope, id] = [newId(), newId()];
      for (let turn = 1; turn <= 2; turn++) {
        await manager.updateState(id, "note", { turn }, { scope });
      }
      await manager.rollback(scope, { source: "history", reason: "wrong", actor: "ann" });
      await until(() => consumer.figures.handled === 3);
      const [first, second, back, last] = told;
      expect([first, second, last]).toEqual([
        `${id} 1 update`,
        `${id} 2 update`,
        `${id} 3 rollback`,
      ]);
      expect(back).toMatchObject({
        namespace: "default",
        scope,
        step: 3n,
        restoredStep: 1n,
        undoneStep: 2n,
        source: "history",
        reason: "wrong",
        actor: "ann",
        quarantined: [2n],
        stateCount: 1,
        states: [
          {
            id,
            type: "note",
            version: 2n,
            newVersion: 3n,
            deleted: false,
            diff: [{ op: "replace", path: "/turn", value: 1 }],
          },
        ],
      });
    });

    test("drops what comes twice, and what is older than what came", async () => {
      const consumer = consume();
      const id = newId();
      for (let turn = 1; turn <= 3; turn++) await manager.updateState(id, "note", { turn });
      await send(id, [1n, 2n, 1n, 2n, 3n, 3n, 2n]);
      await until(() => consumer.figures.handled + consumer.figures.dropped === 7);
      expect(versions()).toEqual([`${id} 1`, `${id} 2`, `${id} 3`]);
    });

    test("asks for what is missing, and hands it on in order", async () => {
      const consumer = consume({ source: manager });
      const id = newId();
      for (let turn = 1; turn <= 4; turn++) await manager.updateState(id, "note", { turn });
      await send(id, [1n, 4n]);
      await until(() => consumer.figures.handled === 4);
      expect(got.map(({ version, data, missed }) => [version, data, missed])).toEqual(
        [1, 2, 3, 4].map((turn) => [BigInt(turn), { turn }, null]),
      );
      expect(consumer.figures).toMatchObject({ fetched: 2, missed: 0 });
    });

    test("says what is missing where nobody can be asked", async () => {
      const consumer = consume();
      const id = newId();
      for (let turn = 1; turn <= 4; turn++) await manager.updateState(id, "note", { turn });
      await send(id, [1n, 4n]);
      await until(() => consumer.figures.handled === 2);
      expect(got.map(({ version, missed }) => [version, missed])).toEqual([
        [1n, null],
        [4n, { from: 2n, to: 3n }],
      ]);
      expect(consumer.figures).toMatchObject({ fetched: 0, missed: 2 });
    });

    test("fetches a document that was too large to travel", async () => {
      const consumer = consume({ source: manager });
      startRelay({ maxInlineBytes: 1_024 });
      const data = { text: "x".repeat(5_000) };
      await manager.updateState(newId(), "note", data);
      await until(() => consumer.figures.handled === 1);
      expect(got[0]!.data).toEqual(data);
    });

    test("brings a change again that its handler failed on, before those behind it; others go on", async () => {
      let failures = 2;
      const [failing, other] = [newId(), newId()];
      const consumer = consume({
        onChange: async (change, context) => {
          if (change.id === failing && failures-- > 0) throw new Error("not now");
          await keep(change, context);
        },
      });
      for (const id of [failing, other]) {
        for (let turn = 1; turn <= 2; turn++) await manager.updateState(id, "note", { turn });
      }
      await send(failing, [1n, 2n]);
      await send(other, [1n, 2n]);
      await until(() => consumer.figures.handled === 4);
      const own = versions().filter((version) => version.startsWith(failing));
      expect(own).toEqual([`${failing} 1`, `${failing} 2`]);
      expect(consumer.figures.retried).toBeGreaterThanOrEqual(2);
    });

    test("gives back at once what it was not handed when it closes", async () => {
      const id = newId();
      for (let turn = 1; turn <= 3; turn++) await manager.updateState(id, "note", { turn });
      // From here on the group is there; nobody receives, so that the messages come together.
      opened.bus.openConsumer({ ...place, awaitMs: 1_000, invisibleMs: 1_000, batchSize: 1 });
      await send(id, [1n, 2n, 3n]);
      const invisibleMs = 600_000;
      let hasBegun = false;
      const closing = consume({
        invisibleMs,
        onChange: async (change, context) => {
          hasBegun = true;
          await until(() => context.signal.aborted);
          await keep(change, context);
        },
      });
      await until(() => hasBegun);
      await closing.close();
      const next = consume({ invisibleMs });
      await until(() => next.figures.handled + next.figures.dropped >= 2);
      expect([...new Set(versions())]).toEqual([`${id} 1`, `${id} 2`, `${id} 3`]);
    });

    test("leaves out what is no change, and goes on", async () => {
      const unreadable: string[] = [];
      const consumer = consume({ onUnreadable: (_message, { code }) => unreadable.push(code) });
      const { producer } = opened.bus;
      const id = newId();
      const event = { specversion: "1.0", id: "1", source: "elsewhere", type: "some.other.v1" };
      const changed = { ...event, type: "dev.agentruntime.state.changed.v1", data: { id } };
      for (const body of ["no JSON", "[]", JSON.stringify(event), JSON.stringify(changed)]) {
        await producer.send({ topic: place.topic, group: id, body: Buffer.from(body) });
      }
      await manager.updateState(id, "note", {});
      await send(id, [1n]);
      await until(() => consumer.figures.handled === 1);
      expect(unreadable).toEqual(["INVALID_JSON", "INVALID_REQUEST", "INVALID_REQUEST"]);
    });
  });
}
