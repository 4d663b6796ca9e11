import fc from "fast-check";
import { expect, test } from "vitest";
import { SieveCache } from "./sieve-cache.ts";

interface Kept {
  readonly key: number;
  value: number;
  bytes: number;
  used: boolean;
}

/** SIEVE as its paper tells it: a queue from old to new, and a hand. Slow, and plain to see. */
class Model {
  queue: Kept[] = [];
  hand = 0;
  readonly entries: number;
  readonly bytes: number;

  constructor(entries: number, bytes: number) {
    this.entries = entries;
    this.bytes = bytes;
  }

  total(): number {
    return this.queue.reduce((sum, kept) => sum + kept.bytes, 0);
  }

  get(key: number): number | undefined {
    const kept = this.queue.find((each) => each.key === key);
    if (kept !== undefined) kept.used = true;
    return kept?.value;
  }

  delete(key: number): void {
    const index = this.queue.findIndex((each) => each.key === key);
    if (index === -1) return;
    this.queue.splice(index, 1);
    if (index < this.hand) this.hand -= 1;
  }

  set(key: number, value: number, bytes: number): void {
    if (bytes > this.bytes || this.entries === 0) return this.delete(key);
    const kept = this.queue.find((each) => each.key === key);
    if (kept !== undefined) Object.assign(kept, { value, bytes, used: true });
    const added = kept === undefined ? { entries: 1, bytes } : { entries: 0, bytes: 0 };
    while (
      this.queue.length + added.entries > this.entries ||
      this.total() + added.bytes > this.bytes
    ) {
      if (this.hand >= this.queue.length) this.hand = 0;
      const here = this.queue[this.hand]!;
      if (here.used) {
        here.used = false;
        this.hand += 1;
      } else this.queue.splice(this.hand, 1);
    }
    if (kept === undefined) this.queue.push({ key, value, bytes, used: false });
  }
}

test("it does what the model does, whatever is asked of it, and stays within its bounds", () => {
  const key = fc.nat({ max: 12 });
  const command = fc.oneof(
    fc.record({ op: fc.constant("get" as const), key }),
    fc.record({ op: fc.constant("delete" as const), key }),
    fc.record({ op: fc.constant("clear" as const), key }),
    ...Array.from({ length: 5 }, () =>
      fc.record({ op: fc.constant("set" as const), key, bytes: fc.nat({ max: 40 }) }),
    ),
    fc.record({ op: fc.constant("get" as const), key }),
  );
  const commands = fc.array(command, { minLength: 20, maxLength: 200 });
  fc.assert(
    fc.property(fc.nat({ max: 8 }), fc.nat({ max: 100 }), commands, (entries, bytes, commands) => {
      const cache = new SieveCache<number, number>({ entries, bytes });
      const model = new Model(entries, bytes);
      for (const [value, step] of commands.entries()) {
        if (step.op === "get") expect(cache.get(step.key)).toBe(model.get(step.key));
        else if (step.op === "set") {
          cache.set(step.key, value, step.bytes);
          model.set(step.key, value, step.bytes);
        } else if (step.op === "delete") {
          cache.delete(step.key);
          model.delete(step.key);
        } else if (value % 10 === 0) {
          cache.clear();
          model.queue = [];
          model.hand = 0;
        }
        expect(cache.size).toBe(model.queue.length);
        expect(cache.bytes).toBe(model.total());
        expect(cache.size).toBeLessThanOrEqual(entries);
        expect(cache.bytes).toBeLessThanOrEqual(bytes);
        for (const kept of model.queue) expect(cache.peek(kept.key)).toBe(kept.value);
      }
    }),
    { numRuns: 500 },
  );
});

test("a scan through cold entries leaves the hot ones", () => {
  const cache = new SieveCache<string, number>({ entries: 100, bytes: 1e6 });
  for (let i = 0; i < 50; i++) cache.set(`hot-${i}`, i, 10);
  for (let round = 0; round < 1_000; round++) {
    for (let i = 0; i < 50; i++) cache.get(`hot-${i}`);
    cache.set(`cold-${round}`, round, 10);
  }
  for (let i = 0; i < 50; i++) expect(cache.peek(`hot-${i}`)).toBe(i);
});

test("hits and misses are counted, peeking is not", () => {
  const cache = new SieveCache<string, number>({ entries: 2, bytes: 10 });
  cache.set("a", 1, 1);
  cache.get("a");
  cache.get("b");
  cache.get("b");
  cache.peek("a");
  expect([cache.hits, cache.misses]).toEqual([1, 2]);
});

test("a document larger than the cache only drops the older one of its key", () => {
  const cache = new SieveCache<string, number>({ entries: 2, bytes: 10 });
  cache.set("a", 1, 5);
  cache.set("b", 1, 5);
  cache.set("a", 2, 11);
  expect([cache.peek("a"), cache.peek("b"), cache.bytes]).toEqual([undefined, 1, 5]);
});

test("keys that are marked elsewhere are spared like used ones, once", () => {
  const marks = new Set(["a"]);
  const cache = new SieveCache<string, number>({ entries: 2, bytes: 10 }, marks);
  for (const key of ["a", "b", "c"]) cache.set(key, 1, 1);
  expect([...marks, cache.peek("a"), cache.peek("b")]).toEqual([1, undefined]);
  cache.get("c");
  cache.set("d", 1, 1); // the hand spares c, and comes by again
  expect([cache.peek("a"), cache.peek("c")]).toEqual([undefined, 1]);
});
