import { expect, test } from "vitest";
import { isMet, type Figure } from "../../bench/figure.ts";
import { takeTurns } from "../../bench/measure/rounds.ts";
import { bestOf, ratioOf, spreadOf } from "../../bench/measure/statistics.ts";
import { copyOf } from "../../bench/parts/multiply.ts";
import { ownKey } from "../../bench/parts/keys.ts";
import { formatFigures } from "../../bench/table.ts";

const quiet = { signal: new AbortController().signal, progress: () => undefined };

test("contenders take turns, so that each round has all of them", async () => {
  const order: string[] = [];
  const run = (name: string) => () => Promise.resolve(order.push(name));
  const results = await takeTurns({ a: run("a"), b: run("b") }, { rounds: 3, ...quiet });
  expect(order).toEqual(["a", "b", "a", "b", "a", "b"]);
  expect(results).toEqual({ a: [1, 3, 5], b: [2, 4, 6] });
});

test("a ratio is the median of the rounds' ratios, not the ratio of the medians", () => {
  // The machine was three times slower in the second round, for both.
  expect(ratioOf([30, 10, 33], [10, 5, 10])).toMatchObject({ median: 3, min: 2, max: 3.3 });
});

test("the best of several is chosen round by round", () => {
  const rounds = [
    [1, 5, 2],
    [4, 3, 2],
  ];
  expect(bestOf(rounds)).toEqual([4, 5, 2]);
});

test("a median of an even number of rounds lies between the middle two", () => {
  expect(spreadOf([4, 1, 3, 2]).median).toBe(2.5);
  expect(() => spreadOf([])).toThrow("nothing was measured");
  expect(() => spreadOf([1, Number.NaN])).toThrow("nothing was measured");
});

test("callers share the keys evenly, and none has another one's", () => {
  const owners = new Map<number, number>();
  for (let caller = 0; caller < 3; caller++) {
    for (let pick = 0; pick < 4; pick++) {
      const key = ownKey(caller, 3, { keys: 10, random: (below) => Math.min(pick, below - 1) });
      expect(owners.get(key) ?? caller).toBe(caller);
      owners.set(key, caller);
    }
  }
  expect([...owners.keys()].toSorted((left, right) => left - right)).toEqual([
    1, 2, 3, 4, 5, 6, 7, 8, 9, 10,
  ]);
});

test("the first copy of a state is the state itself", () => {
  expect([copyOf("a", 0), copyOf("a", 7)]).toEqual(["a", "a-7"]);
});

test("a figure is judged by its ratio where it has one, by its value where not", () => {
  const fast: Figure = {
    name: "updates",
    unit: "/s",
    ours: spreadOf([30_000, 32_000, 31_000]),
    against: { name: "the other", value: spreadOf([10_000]) },
    ratio: spreadOf([3.1, 3.2, 2.9]),
    bar: { atLeast: 3 },
    notes: ["as measured"],
  };
  const slow: Figure = { name: "p99", unit: "ms", ours: spreadOf([61]), bar: { atMost: 50 } };
  expect([isMet(fast), isMet(slow), isMet({ ...slow, bar: null })]).toEqual([true, false, null]);
  const lines = formatFigures([fast, slow]);
  expect(lines[1]).toMatch(
    /^updates +31,000\/s +10,000\/s the other +3\.10 × +2\.90\.\.3\.20 +≥ 3 × +yes$/,
  );
  expect(lines[2]).toMatch(/^p99 +61\.0 ms +≤ 50 ms +NO$/);
  expect(lines.at(-1)).toBe("- updates: as measured");
});
