import fc from "fast-check";
import { expect, test } from "vitest";
import type { ChangeRow, PreparedChange, StateKey } from "../state/ports.ts";
import { Directory } from "./directory.ts";
import { SharedFreshness } from "./shared-freshness.ts";
import { nameOf } from "./state-name.ts";

interface Committed {
  readonly xid: number;
  readonly state: number;
  readonly version: number;
  readonly isOwn: boolean;
}

/** One run of main: transactions get ids in order, end in any order, and change one of four states. */
class MainModel {
  readonly #open = new Map<number, number>();
  readonly #committed: Committed[] = [];
  next = 100;

  begin(state: number): void {
    this.#open.set(this.next++, state);
  }

  /** Commits one of those that are open; answers its id and what it changed. */
  commit(nth: number, isOwn: boolean): Committed | undefined {
    const open = [...this.#open];
    const one = open[nth % Math.max(open.length, 1)];
    if (one === undefined) return undefined;
    this.#open.delete(one[0]);
    const [xid, state] = one;
    const change = { xid, state, version: this.seen(state) + 1, isOwn };
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

  /** As the feed tells them: others' that are settled, from a transaction on. */
  settledFrom(xid: number): Committed[] {
    const { settled } = this.moment;
    return this.#committed.filter(
      (change) => !change.isOwn && change.xid >= xid && change.xid < settled,
    );
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
  fc.record({ what: fc.constantFrom("read", "read a copy", "take"), n: fc.nat(3) }),
  fc.record({ what: fc.constantFrom("replay", "beat"), n: fc.constant(0) }),
);
type Act = typeof act extends fc.Arbitrary<infer One> ? One : never;

const NAMES = ["a", "b", "c", "d"];

function keyOf(state: number): StateKey {
  return { namespace: "n", id: NAMES[state]! };
}

/** What this process was told of each state must be in every entry that it takes. */
function play(acts: readonly Act[]): number {
  const main = new MainModel();
  const replica = new ReplicaModel(main);
  let nowMs = 0;
  const freshness = new SharedFreshness(4, { monotonicMs: () => nowMs }); // some names share a slot
  const directory = new Directory(1, freshness);
  const told = [0, 0, 0, 0];
  const wrote = ({ state, version }: Committed): void => {
    told[state] = version;
    const row = { version: BigInt(version), scope: "s", created: false, at: new Date(0) };
    directory.follow(keyOf(state), { expiresAt: null } as PreparedChange, row as ChangeRow);
  };
  const readHere = (state: number, seen: number): void => {
    told[state] = Math.max(told[state]!, seen);
    directory.note(keyOf(state), { version: BigInt(seen), scope: "s" }, undefined, true);
  };
  const takes = ({ state, settled, seen }: Entry): boolean => {
    const name = nameOf("n", NAMES[state]!);
    const standing = directory.judge(name, BigInt(seen));
    return standing === "newest" || (standing === "unsure" && freshness.covers(name, settled));
  };
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
      readHere(n, main.seen(n));
    } else if (what === "look") {
      freshness.beginLook();
      const { moment } = main;
      for (const { state, version } of main.settledFrom(from)) {
        directory.raise(keyOf(state), BigInt(version));
        freshness.tell(nameOf("n", NAMES[state]!));
        told[state] = Math.max(told[state]!, version);
      }
      from = moment.settled;
      freshness.endLook(moment);
    } else if (what !== "take") {
      const change = main.commit(n, what === "commit here");
      if (change?.isOwn === true) wrote(change);
    }
    for (const entry of entries) {
      if (!takes(entry)) continue;
      taken++;
      expect(entry.seen).toBeGreaterThanOrEqual(told[entry.state]!);
      if (what === "take" && entry.state === n) readHere(n, entry.seen);
    }
  }
  return taken;
}

test("an entry that is taken has whatever this process was told of its state", () => {
  fc.assert(
    fc.property(fc.array(act, { maxLength: 60 }), (acts) => {
      play(acts);
    }),
    { numRuns: 5_000 },
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

test("an entry from before what was seen here is not taken when the directory has forgotten that", () => {
  const read = (n: number): Act => ({ what: "read", n });
  const begin = (n: number): Act => ({ what: "begin", n });
  const commit = (where: "here" | "there", n: number): Act => ({ what: `commit ${where}`, n });
  const look: Act = { what: "look", n: 0 };
  const [a, b] = [0, 1];
  const written = [begin(a), commit("here", 0)];
  play([look, read(a), ...written, read(b)]);
  play([look, read(a), ...written, look, read(b)]);
  play([look, read(a), look, read(b), ...written, look, read(b)]);
  // Somebody else's, which no look can tell: what began before it is under way.
  play([look, read(a), begin(b), begin(a), commit("there", 1), read(a), look, read(b)]);
});
