import { beforeEach, expect, test, vi } from "vitest";
import { ROCKETMQ_START_MS, newTopic } from "../support/rocketmq.ts";
import { until } from "../support/until.ts";
import { LONG, openRelaying } from "./relaying.ts";
import type { Relaying } from "./relaying.ts";

vi.setConfig({ testTimeout: 180_000 });

let parts: Relaying;
beforeEach(async (context) => {
  parts = await openRelaying(context);
}, ROCKETMQ_START_MS);

test("a body that the broker never takes goes out without its document, and what follows goes on", async () => {
  const { address, manager, startRelay, receive } = parts;
  const { topic } = await newTopic(address);
  // No limit of ours in its way: what is read is as large as a broker's limit, and is sent so.
  const large = "x".repeat(4_500_000);
  const relay = startRelay(topic, {
    maxInlineBytes: 16_000_000,
    readChange: async (row) => {
      const change = await manager.readChange(row);
      return change.id === "large" && change.version === 2n ? { ...change, data: large } : change;
    },
  });
  for (let version = 1; version <= 3; version += 1) {
    await manager.updateState("large", "note", { version });
    await manager.updateState("other", "note", { version });
  }
  const came = await receive(topic, 6);
  const of = (id: string): string[] => came.filter((one) => one.startsWith(id));
  expect(of("large")).toEqual(["large 1", "large 2 bare", "large 3"]);
  expect(of("other")).toEqual(["other 1", "other 2", "other 3"]);
  await until(() => relay.figures.health === "ok" && relay.figures.changesBehind === 0, LONG);
  expect(relay.figures).toMatchObject({ sent: 6, reduced: 1, parked: 0 });
});

test("the longest names of any kind of sign go through as they are", async () => {
  const { address, manager, startRelay, receive } = parts;
  const { topic } = await newTopic(address);
  const relay = startRelay(topic);
  const names = ["\u{1F600}".repeat(200), "ü% |名".repeat(40), "a".repeat(200)];
  for (const name of names) {
    await manager.updateState(name, "note", 1, { scope: name, actor: name, cause: name });
  }
  expect((await receive(topic, names.length)).toSorted()).toEqual(
    names.map((name) => `${name} 1`).toSorted(),
  );
  expect(relay.figures).toMatchObject({ reduced: 0, parked: 0 });
});
