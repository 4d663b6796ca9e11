import { expect, test } from "vitest";
import { ReplicaHealth } from "./replica-health.ts";
import type { ReplicaFacts } from "./replica-health.ts";

const WELL: ReplicaFacts = {
  slot: "held",
  isStreaming: true,
  replayed: "0/1",
  behindBytes: 0,
  isPaused: false,
  complains: false,
};

/** What it says after each look, one a second. */
function look(count: number, facts: (second: number) => Partial<ReplicaFacts>) {
  const health = new ReplicaHealth(0);
  return Array.from({ length: count }, (_, second) =>
    health.judge({ ...WELL, ...facts(second) }, second * 1_000),
  ).find((reason) => reason !== undefined);
}

test("a replica for which main keeps no log is given up at once", () => {
  expect(look(1, () => ({ slot: "missing" }))).toBe("main keeps no log for it");
  expect(look(1, () => ({ slot: "lost" }))).toMatch("gave up keeping its log");
  expect(look(1, () => ({ behindBytes: -1 }))).toBe("it has what main does not have");
});

test("one that complains and cannot connect is given up when main answers all the while", () => {
  const away = { isStreaming: false, complains: true };
  expect(look(16, () => away)).toBeUndefined();
  expect(look(17, () => away)).toBe("main answers, and it cannot follow");
  expect(look(100, (second) => (second % 10 === 0 ? WELL : away))).toBeUndefined();
});

test("one that replays its own log after a crash may take its time", () => {
  expect(look(1_000, () => ({ isStreaming: false, complains: false }))).toBeUndefined();
});

test("one that is connected and stands still with much to do is given up", () => {
  const behind = { behindBytes: 2_000_000 };
  expect(look(61, () => behind)).toBeUndefined();
  expect(look(62, () => behind)).toBe("it does not move on");
  expect(look(500, (second) => ({ ...behind, replayed: `0/${second}` }))).toBeUndefined();
});

test("one that is idle, paused by somebody, or a breath behind is left alone", () => {
  expect(look(500, () => ({ complains: true }))).toBeUndefined();
  expect(look(500, () => ({ isPaused: true, behindBytes: 1e9, complains: true }))).toBeUndefined();
  expect(look(500, () => ({ behindBytes: 100 }))).toBeUndefined();
});

test("the time in which main could not be asked does not count", () => {
  const health = new ReplicaHealth(0);
  const away = { ...WELL, isStreaming: false, complains: true };
  for (let second = 0; second < 100; second += 10) {
    expect(health.judge(away, second * 1_000)).toBeUndefined();
    health.excuse((second + 9) * 1_000);
  }
});
