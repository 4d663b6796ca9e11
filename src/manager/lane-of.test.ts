import { expect, test } from "vitest";
import { laneOf } from "./lane-of.ts";

test("a scope has one lane, and scopes spread over all of them", () => {
  const counts = new Map<number, number>();
  for (let i = 0; i < 4_000; i++) {
    const lane = laneOf("default", `agent-${i}`, 4);
    expect(laneOf("default", `agent-${i}`, 4)).toBe(lane);
    counts.set(lane, (counts.get(lane) ?? 0) + 1);
  }
  expect([...counts.keys()].toSorted((left, right) => left - right)).toEqual([0, 1, 2, 3]);
  for (const count of counts.values()) expect(count).toBeGreaterThan(800);
});

test("the namespace counts, and of one lane there is no choice", () => {
  const lanes = Array.from({ length: 64 }, (_, i) => laneOf(`n${i}`, "agent", 8));
  expect(new Set(lanes).size).toBeGreaterThan(4);
  expect(laneOf("n", "any", 1)).toBe(0);
});
