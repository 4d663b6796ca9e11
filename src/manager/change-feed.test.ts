import { afterEach, expect, test } from "vitest";
import { silentLog } from "../service/log.ts";
import type { ChangeFeed, FeedBounds, FeedPosition, FeedRow } from "../state/ports.ts";
import { FeedTail } from "./change-feed.ts";
import type { ChangeFeedOptions } from "./change-feed.ts";

/** A double of the feed: rows that the test adds, all of them settled. */
class DoubleFeed implements Pick<ChangeFeed, "bounds" | "read"> {
  readonly rows: FeedRow[] = [];
  reads = 0;

  add(count: number, body = "{}"): void {
    for (let i = 0; i < count; i++) {
      const at = { xid: BigInt(this.rows.length + 1), scopeNo: 1n, step: 1n, position: 0 };
      this.rows.push({ at, body } as FeedRow);
    }
  }

  async bounds(): Promise<FeedBounds> {
    return {
      lineage: "l",
      floor: null,
      head: { xid: BigInt(this.rows.length), scopeNo: 1n, step: 1n, position: 0 },
    };
  }

  async read(after: FeedPosition, limit: number): Promise<FeedRow[]> {
    this.reads++;
    return this.rows.filter(({ at }) => at.xid > after.xid).slice(0, limit);
  }
}

const signal = new AbortController().signal;
let tail: FeedTail | undefined;

afterEach(() => tail?.close());

function tailOn(feed: DoubleFeed, options: Partial<ChangeFeedOptions> = {}): FeedTail {
  tail = new FeedTail({
    store: { feed: feed as unknown as ChangeFeed },
    pollMs: 60_000, // only pokes make it read
    keepChanges: 10,
    keepBytes: 1_000_000,
    log: silentLog,
    ...options,
  });
  return tail;
}

/** Until the tail has caught up with the feed. */
async function caughtUp(feed: DoubleFeed): Promise<void> {
  for (let turns = 0; turns < 1_000; turns++) {
    const newest = feed.rows.at(-1)!.at;
    const before = { ...newest, xid: newest.xid - 1n };
    if (tail!.after(before)?.length === 1) return;
    tail!.poke();
    await new Promise((resolve) => setImmediate(resolve));
  }
  throw new Error("the tail does not catch up");
}

const numbers = (rows: readonly FeedRow[] | undefined): number[] | undefined =>
  rows?.map(({ at }) => Number(at.xid));
const behind = (xid: number): FeedPosition => ({
  xid: BigInt(xid),
  scopeNo: 1n,
  step: 1n,
  position: 0,
});

test("keeps the newest changes without a gap, and knows where it no longer can help", async () => {
  const feed = new DoubleFeed();
  feed.add(5);
  tailOn(feed).join();
  await tail!.more(0, signal);
  feed.add(25);
  await caughtUp(feed);
  expect(numbers(tail!.after(behind(25)))).toEqual([26, 27, 28, 29, 30]);
  expect(numbers(tail!.after(behind(20)))).toEqual([21, 22, 23, 24, 25, 26, 27, 28, 29, 30]);
  expect(numbers(tail!.after(behind(30)))).toEqual([]);
  expect(tail!.after(behind(19))).toBeUndefined();
  feed.add(1);
  await caughtUp(feed);
  expect(tail!.after(behind(20))).toBeUndefined();
  expect(numbers(tail!.after(behind(29)))).toEqual([30, 31]);
});

test("keeps no more bytes than it may, but always the newest change", async () => {
  const feed = new DoubleFeed();
  feed.add(1);
  tailOn(feed, { keepBytes: 5_000 }).join();
  await tail!.more(0, signal);
  feed.add(6, "x".repeat(500)); // 1,500 bytes each, as it reckons
  await caughtUp(feed);
  expect(numbers(tail!.after(behind(4)))).toEqual([5, 6, 7]);
  expect(tail!.after(behind(3))).toBeUndefined();
  feed.add(1, "x".repeat(50_000));
  await caughtUp(feed);
  expect(numbers(tail!.after(behind(7)))).toEqual([8]);
});

test("reads only while somebody watches, and forgets when the last one leaves", async () => {
  const feed = new DoubleFeed();
  feed.add(3);
  tailOn(feed);
  tail!.poke();
  expect([feed.reads, tail!.watchers]).toEqual([0, 0]);
  const leave = [tail!.join(), tail!.join()];
  await tail!.more(0, signal);
  feed.add(3);
  await caughtUp(feed);
  leave[0]!();
  leave[0]!(); // twice is once
  expect(tail!.watchers).toBe(1);
  expect(tail!.after(behind(5))).toHaveLength(1);
  leave[1]!();
  expect(tail!.after(behind(5))).toBeUndefined();
  const reads = feed.reads;
  tail!.poke();
  await new Promise((resolve) => setImmediate(resolve));
  expect(feed.reads).toBe(reads);
  const { generation } = tail!;
  tail!.join();
  await tail!.more(generation, signal);
  feed.add(1);
  await caughtUp(feed);
});

test("whoever waits for more is woken by it, or by a signal, and not at all where it came before", async () => {
  const feed = new DoubleFeed();
  feed.add(1);
  tailOn(feed).join();
  await tail!.more(0, signal);
  const { generation } = tail!;
  const controller = new AbortController();
  const waits = [tail!.more(generation, signal), tail!.more(generation, controller.signal)];
  controller.abort();
  await waits[1];
  feed.add(1);
  tail!.poke();
  await waits[0];
  await tail!.more(generation, signal); // that has passed
});
