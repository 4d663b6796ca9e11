import fc from "fast-check";
import { expect, test } from "vitest";
import { SharedFreshness } from "./shared-freshness.ts";

/** One run of main: transactions get ids in order, end in any order, and change one of four states. */
class MainModel {
  readonly #open = new Map<number, number>();
  readonly #committed: { readonly xid: number; readonly state: number }[] = [];
  next = 100;

  begin(state: number): void {
    this.#open.set(this.next++, state);
  }

  /** Commits one of those that are open; answers its id and what it changed. */
  commit(nth: number): { readonly xid: number; readonly state: number } | undefined {
    const open = [...this.#open];
    const one = open[nth % Math.max(open.length, 1)];
    if (one === undefined) return undefined;
    this.#open.delete(one[0]);
    const change = { xid: one[0], state: one[1] };
    this.#committed.push(change);
    return change;
  }

  /** What a snapshot taken now sees of a state: so many changes. */
  seen(state: number): number {
    return this.seenAt(this.position, state);
  }

  /** What a copy sees of it that has come so far. */
  seenAt(position: number, state: number): number {
    return this.#committed.slice(0, position).filter((change) => change.state === state).length;
  }

  /** The end of the log. */
  get position(): number {
    return this.#committed.length;
  }

  get moment(): { readonly run: string; readonly settled: number; readonly next: number } {
    return { run: "one", settled: Math.min(this.next, ...this.#open.keys()), next: this.next };
  }

  /** As the feed tells them: those that are settled, from a transaction on. */
  settledFrom(xid: number): { readonly state: number }[] {
    const { settled } = this.moment;
    return this.#committed.filter((change) => change.xid >= xid && change.xid < settled);
  }
}

/** A copy that follows when it likes, and what is known of how far it is. */
class ReplicaModel {
  readonly #main: MainModel;
  #position = 0;
  #mark: { readonly position: number; readonly sinceMs: number } | null = null;
  asOfMs: number | undefined;

  constructor(main: MainModel) {
    this.#main = main;
  }

  replay(): void {
    this.#position = Math.min(this.#position + 1, this.#main.position);
  }

  beat(nowMs: number): void {
    this.#mark ??= { position: this.#main.position, sinceMs: nowMs };
    if (this.#position < this.#mark.position) return;
    this.asOfMs = this.#mark.sinceMs;
    this.#mark = null;
  }

  seen(state: number): number {
    return this.#main.seenAt(this.#position, state);
  }
}

interface Entry {
  readonly state: number;
  readonly settled: number;
  readonly seen: number;
}

const act = fc.oneof(
  fc.record({ what: fc.constant("begin" as const), n: fc.nat(3) }),
  fc.record({ what: fc.constantFrom("commit here", "commit there"), n: fc.nat(5) }),
  fc.record({ what: fc.constant("look" as const), n: fc.constant(0) }),
  fc.record({ what: fc.constantFrom("read", "read a copy"), n: fc.nat(3) }),
  fc.record({ what: fc.constantFrom("replay", "beat"), n: fc.constant(0) }),
);
type Act = typeof act extends fc.Arbitrary<infer One> ? One : never;

const NAMES = ["a", "b", "c", "d"];

/** What this process was told of each state must be in every entry that it takes. */
function play(acts: readonly Act[]): number {
  const main = new MainModel();
  const replica = new ReplicaModel(main);
  let nowMs = 0;
  const freshness = new SharedFreshness(4, { monotonicMs: () => nowMs }); // some names share a slot
  const told = [0, 0, 0, 0];
  const entries: Entry[] = [];
  let from = 0;
  let taken = 0;
  for (const { what, n } of acts) {
    nowMs++;
    if (what === "begin") main.begin(n);
    else if (what === "replay") replica.replay();
    else if (what === "beat") replica.beat(nowMs);
    else if (what === "read a copy") {
      const { asOfMs } = replica;
      const settled = asOfMs === undefined ? undefined : freshness.momentAt(asOfMs)?.settled;
      if (settled !== undefined) entries.push({ state: n, settled, seen: replica.seen(n) });
    } else if (what === "read") {
      const settled = freshness.moment?.settled;
      if (settled !== undefined) entries.push({ state: n, settled, seen: main.seen(n) });
    } else if (what === "look") {
      freshness.beginLook();
      const { moment } = main;
      for (const { state } of main.settledFrom(from)) {
        freshness.tell(NAMES[state]!);
        told[state] = main.settledFrom(0).filter((one) => one.state === state).length;
      }
      from = moment.settled;
      freshness.endLook(moment);
    } else {
      const change = main.commit(n);
      if (change !== undefined && what === "commit here") {
        freshness.touch(NAMES[change.state]!);
        told[change.state] = main.seen(change.state);
      }
    }
    for (const { state, settled, seen } of entries) {
      if (!freshness.covers(NAMES[state]!, settled)) continue;
      taken++;
      expect(seen).toBeGreaterThanOrEqual(told[state]!);
    }
  }
  return taken;
}

test("an entry that is taken has whatever this process was told of its state", () => {
  fc.assert(
    fc.property(fc.array(act, { maxLength: 60 }), (acts) => {
      play(acts);
    }),
    { numRuns: 2_000 },
  );
});

test("an entry that was read after a look at what was settled is taken", () => {
  const taken = play([
    { what: "look", n: 0 },
    { what: "begin", n: 1 },
    { what: "commit there", n: 0 },
    { what: "look", n: 0 },
    { what: "read", n: 1 },
  ]);
  expect(taken).toBe(1);
});

test("an entry that a copy answered is taken, once it has what was settled at a look", () => {
  const [look, replay, beat, read] = [
    { what: "look", n: 0 },
    { what: "replay", n: 0 },
    { what: "beat", n: 0 },
    { what: "read a copy", n: 1 },
  ] as const satisfies readonly Act[];
  const before: Act[] = [{ what: "begin", n: 1 }, { what: "commit there", n: 0 }, look];
  expect(play([...before, replay, beat, read])).toBe(1);
  expect(play([...before, beat, read])).toBe(0);
  expect(play([beat, ...before, replay, read])).toBe(0);
});

test("looks of another run of main are not remembered", () => {
  let nowMs = 5;
  const freshness = new SharedFreshness(4, { monotonicMs: () => nowMs });
  expect(freshness.momentAt(5)).toBeNull();
  freshness.endLook({ run: "one", settled: 5, next: 5 });
  expect(freshness.momentAt(5)).toEqual({ run: "one", settled: 5, next: 5 });
  expect(freshness.momentAt(4)).toBeNull();
  nowMs = 6;
  freshness.endLook({ run: "two", settled: 6, next: 6 });
  expect(freshness.momentAt(5)).toBeNull();
  expect(freshness.momentAt(6)).toEqual({ run: "two", settled: 6, next: 6 });
});

test("before the first look nothing is taken, after a gap nothing from before it", () => {
  const freshness = new SharedFreshness();
  expect(freshness.covers("a", 1_000)).toBe(false);
  freshness.endLook({ run: "one", settled: 5, next: 5 });
  expect(freshness.covers("a", 5)).toBe(true);
  freshness.endLook({ run: "one", settled: 9, next: 10 }, 10);
  expect([freshness.covers("a", 9), freshness.covers("a", 10)]).toEqual([false, true]);
});

test("what was touched while a look was under way waits for the next one", () => {
  const freshness = new SharedFreshness();
  freshness.beginLook();
  freshness.touch("a");
  freshness.tell("a"); // of an earlier change
  freshness.endLook({ run: "one", settled: 5, next: 5 });
  expect(freshness.covers("a", 5)).toBe(false);
  freshness.beginLook();
  freshness.endLook({ run: "one", settled: 7, next: 7 });
  expect([freshness.covers("a", 6), freshness.covers("a", 7)]).toEqual([false, true]);
});
