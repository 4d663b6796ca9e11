import { setImmediate } from "node:timers/promises";
import fc from "fast-check";
import { afterEach, beforeEach, expect, onTestFinished, test, vi } from "vitest";
import { silentLog } from "../service/log.ts";
import { comparePositions, FEED_START } from "../state/cursor.ts";
import type { FeedPosition, FeedRow } from "../state/ports.ts";
import { SendWindow } from "./send-window.ts";

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
});
afterEach(() => {
  vi.useRealTimers();
});

function rowAt(at: number, scope: number): FeedRow {
  const position: FeedPosition = { xid: BigInt(at), scopeNo: BigInt(scope), step: 1n, position: 0 };
  return { at: position, body: "{}" } as FeedRow;
}

/** A window whose sends end when it is said: `fate` of those on their way. */
class Sends {
  readonly done: FeedRow[] = [];
  readonly underWay: { readonly row: FeedRow; end(fate: "sent" | "failed"): Promise<void> }[] = [];
  readonly window: SendWindow;
  rooms = 0;

  constructor(concurrency: number) {
    this.window = new SendWindow({
      concurrency,
      onRoom: () => (this.rooms += 1),
      log: silentLog,
      send: (row, signal) =>
        new Promise((resolve, reject) => {
          signal.addEventListener("abort", () => reject(new Error("stopped")));
          const end = async (fate: "sent" | "failed"): Promise<void> => {
            this.underWay.splice(this.underWay.indexOf(sending), 1);
            if (fate === "sent") this.done.push(row);
            if (fate === "sent") resolve();
            else reject(new Error("the bus is away"));
            await setImmediate();
          };
          const sending = { row, end };
          this.underWay.push(sending);
        }),
    });
  }

  get scopes(): bigint[] {
    return this.underWay.map(({ row }) => row.at.scopeNo);
  }
}

test("whatever fails, each scope goes in order, one at a time, and where all was sent is told", async () => {
  const steps = fc.array(
    fc.record({
      scopes: fc.array(fc.nat(4), { maxLength: 4 }),
      which: fc.nat(10),
      fate: fc.constantFrom("sent" as const, "sent" as const, "failed" as const),
    }),
    { maxLength: 30 },
  );
  const run = async (
    what: typeof steps extends fc.Arbitrary<infer S> ? S : never,
  ): Promise<void> => {
    const sends = new Sends(3);
    const given: FeedRow[] = [];
    const check = (): void => {
      expect(new Set(sends.scopes).size).toBe(sends.underWay.length);
      expect(sends.underWay.length).toBeLessThanOrEqual(3);
      const first = given.findIndex((row) => !sends.done.includes(row));
      const before = first <= 0 ? FEED_START : given[first - 1]!.at;
      expect(sends.window.before).toEqual(first === -1 ? undefined : before);
    };
    for (const { scopes, which, fate } of what) {
      const from = given.at(-1)?.at ?? FEED_START;
      const rows = scopes.map((scope, index) => rowAt(given.length + index + 1, scope));
      given.push(...rows);
      sends.window.add(rows, from);
      check();
      await sends.underWay[which % Math.max(1, sends.underWay.length)]?.end(fate);
      check();
    }
    const idle = sends.window.idle();
    while (sends.done.length < given.length) {
      vi.advanceTimersByTime(10_000);
      await sends.underWay[0]?.end("sent");
    }
    await idle;
    const ofScope = (rows: readonly FeedRow[], scope: bigint): FeedRow[] =>
      rows.filter(({ at }) => at.scopeNo === scope);
    for (const scope of [0n, 1n, 2n, 3n, 4n]) {
      expect(ofScope(sends.done, scope)).toEqual(ofScope(given, scope));
    }
    expect(sends.window.trouble).toBeUndefined();
  };
  await fc.assert(fc.asyncProperty(steps, run), { numRuns: 200 });
});

test("a scope that fails waits alone: the others go on", async () => {
  const sends = new Sends(2);
  const rows = [rowAt(1, 1), rowAt(2, 2), rowAt(3, 2), rowAt(4, 3)];
  sends.window.add(rows, FEED_START);
  expect(sends.scopes).toEqual([1n, 2n]);
  await sends.underWay[0]!.end("failed");
  expect(sends.window.trouble).toBe("the bus is away");
  expect(sends.scopes).toEqual([2n, 3n]);
  await sends.underWay[0]!.end("sent");
  expect(sends.window.trouble).toBeUndefined();
  expect(sends.scopes).toEqual([3n, 2n]);
  vi.advanceTimersByTime(5_000);
  await sends.underWay[0]!.end("sent");
  expect(sends.scopes).toEqual([2n, 1n]);
});

test("who waits for the others does not wait for a scope that fails", async () => {
  const sends = new Sends(2);
  sends.window.add([rowAt(1, 1), rowAt(2, 2)], FEED_START);
  let isIdle = false;
  void sends.window.idle().then(() => (isIdle = true));
  await sends.underWay[0]!.end("failed");
  expect(isIdle).toBe(false);
  await sends.underWay[0]!.end("sent");
  expect(isIdle).toBe(true);
});

test("while the bus is away one at a time tries it; when it is back all go at once", async () => {
  const sends = new Sends(20);
  const rows = Array.from({ length: 40 }, (_, n) => rowAt(n + 1, n));
  sends.window.add(rows, FEED_START);
  for (const sending of sends.underWay.slice()) await sending.end("failed");
  while (sends.underWay.length > 1) await sends.underWay[0]!.end("failed");
  await sends.underWay[0]!.end("failed");
  expect(sends.underWay.length).toBe(1);
  await sends.underWay[0]!.end("sent");
  expect(sends.underWay.length).toBe(20);
});

test("it says when it is full, and when there is room again", async () => {
  const sends = new Sends(1);
  const rows = Array.from({ length: 1_000 }, (_, n) => rowAt(n + 1, n));
  sends.window.add(rows, FEED_START);
  expect(sends.window.hasRoom).toBe(false);
  expect(sends.rooms).toBe(0);
  await sends.underWay[0]!.end("sent");
  expect(sends.rooms).toBe(1);
  expect(sends.window.hasRoom).toBe(true);
});

test("what it is told to forget is not sent, what is on its way is waited for", async () => {
  const sends = new Sends(2);
  const rows = [rowAt(1, 1), rowAt(2, 2), rowAt(3, 2), rowAt(4, 3)];
  sends.window.add(rows, FEED_START);
  const cleared = sends.window.clear();
  await sends.underWay[0]!.end("sent");
  await sends.underWay[0]!.end("failed");
  expect(comparePositions((await cleared)!, rows[0]!.at)).toBe(0);
  expect(sends.window.before).toBeUndefined();
  vi.advanceTimersByTime(10_000);
  expect(sends.underWay).toEqual([]);
  sends.window.add(rows.slice(1), rows[0]!.at);
  expect(sends.scopes).toEqual([2n, 3n]);
});

test("a stop ends what is on its way, and what was not sent is still told", async () => {
  const sends = new Sends(2);
  const rows = [rowAt(1, 1), rowAt(2, 2)];
  sends.window.add(rows, FEED_START);
  await sends.underWay[0]!.end("sent");
  const idle = sends.window.idle();
  await sends.window.stop();
  await idle;
  expect(sends.window.before).toEqual(rows[0]!.at);
  expect(vi.getTimerCount()).toBe(0);
});

test("as many sends as one likes listen for the end, and Node suspects no leak", async () => {
  const warnings: string[] = [];
  const warn = ({ message }: Error): number => warnings.push(message);
  process.on("warning", warn);
  onTestFinished(() => void process.off("warning", warn));
  const sends = new Sends(64);
  sends.window.add(
    Array.from({ length: 64 }, (_, n) => rowAt(n + 1, n)),
    FEED_START,
  );
  await setImmediate(); // a warning comes a tick later
  expect(warnings).toEqual([]);
  await sends.window.stop();
});
