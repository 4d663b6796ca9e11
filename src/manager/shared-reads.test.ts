import { expect, test } from "vitest";
import type { FoundState, StoredState } from "../state/ports.ts";
import type { SharedCache, SharedEntry } from "../state/shared-cache.ts";
import { Directory } from "./directory.ts";
import { SharedFreshness } from "./shared-freshness.ts";
import { SharedReads } from "./shared-reads.ts";

const wanted = { namespace: "n", id: "a", leastVersion: 0n };

function stored(version: bigint): StoredState {
  const dates = { createdAt: new Date(0), updatedAt: new Date(0), expiresAt: null };
  const about = { type: "note", scope: "s", step: version, phase: null, digest: "" };
  return { namespace: "n", id: "a", version, ...about, ...dates, deleted: false, text: "1" };
}

/** A cache and a database, during whose calls something can happen. */
class Place {
  readonly kept = new Map<string, SharedEntry>();
  readonly freshness = new SharedFreshness(4, { monotonicMs: () => this.nowMs });
  nowMs = 0;
  duringGet = (): void => undefined;
  duringFind = (): void => undefined;
  answer: FoundState = { state: stored(1n), servedBy: "main" };
  readonly reads: SharedReads;

  constructor() {
    const shared: SharedCache = {
      ttlMs: 60_000,
      entryBytes: 1_000,
      get: (keys) => {
        this.duringGet();
        return Promise.resolve(keys.map((key) => this.kept.get(key)));
      },
      put: (key, entry) => void this.kept.set(key, entry),
      trouble: null,
      errors: 0,
      close: () => Promise.resolve(),
    };
    const find = (): Promise<FoundState[]> => {
      this.duringFind();
      return Promise.resolve([this.answer]);
    };
    const { freshness } = this;
    const directory = new Directory();
    this.reads = new SharedReads({ store: { find }, shared, freshness, directory });
  }

  async read(): Promise<string> {
    const [found] = await this.reads.find([wanted], "session");
    return `${found!.servedBy}: ${found!.state?.version}`;
  }

  look(run: string, settled: number): void {
    this.freshness.endLook({ run, settled, next: settled });
  }
}

test("an entry of the run before is not judged by what is needed in the next", async () => {
  const place = new Place();
  place.look("one", 1_000);
  expect(await place.read()).toBe("main: 1");
  expect(await place.read()).toBe("dragonfly: 1");
  // Main is back as it was at 10: that version never was.
  place.answer = { state: null, servedBy: "main" };
  place.duringGet = () => place.look("two", 10);
  expect(await place.read()).toBe("main: undefined");
});

test("what was read while main came to another run is not left", async () => {
  const place = new Place();
  place.look("one", 1_000);
  place.duringFind = () => place.look("two", 10);
  expect(await place.read()).toBe("main: 1");
  expect(place.kept.size).toBe(0);
});

test("what a replica answered is left with what was settled when it was known to have it", async () => {
  const place = new Place();
  place.nowMs = 5;
  place.look("one", 100);
  place.nowMs = 9;
  place.look("one", 200);
  for (const about of [{}, { asOfMs: 4 }]) {
    place.answer = { state: stored(1n), servedBy: "readonly", ...about };
    expect(await place.read()).toBe("readonly: 1");
    expect(place.kept.size).toBe(0);
  }
  place.answer = { state: stored(1n), servedBy: "readonly", asOfMs: 8 };
  expect(await place.read()).toBe("readonly: 1");
  expect([...place.kept.values()].map(({ settled }) => settled)).toEqual([100]);
});
