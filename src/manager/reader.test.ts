import { expect, test } from "vitest";
import type { FoundState, StateKey, StoredState, WantedState } from "../state/ports.ts";
import { Directory } from "./directory.ts";
import { Reader } from "./reader.ts";
import { StateCache } from "./state-cache.ts";

const key = { namespace: "n", id: "a" };
const other = { namespace: "n", id: "b" };

function found({ namespace, id }: StateKey): FoundState {
  const dates = { createdAt: new Date(0), updatedAt: new Date(0), expiresAt: null };
  const about = { type: "note", scope: "s", version: 1n, step: 1n, phase: null, digest: "" };
  const state: StoredState = { namespace, id, ...about, ...dates, deleted: false, text: "1" };
  return { state, servedBy: "main" };
}

/** A reader whose queries are answered when the test says so. */
class Place {
  readonly cache = new StateCache({ entries: 10, bytes: 10_000 }, new Directory());
  readonly asked: (readonly WantedState[])[] = [];
  answer = (): void => undefined;
  readonly reader: Reader;

  constructor() {
    const find = (wanted: readonly WantedState[]): Promise<FoundState[]> => {
      this.asked.push(wanted);
      return new Promise((resolve) => (this.answer = () => resolve(wanted.map(found))));
    };
    this.reader = new Reader({ find }, this.cache);
  }

  find(of: StateKey, leastVersion = 0n): Promise<FoundState> {
    return this.reader.find({ ...of, leastVersion }, "session");
  }

  get kept(): boolean[] {
    return [key, other].map((one) => this.cache.peek(one) !== undefined);
  }
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test("calls of one turn share a query, and those for one state at one version its place in it", async () => {
  const place = new Place();
  const answers = [place.find(key), place.find(key), place.find(key, 1n), place.find(other)];
  await turn();
  const ask = (of: StateKey, leastVersion: bigint): WantedState => ({ ...of, leastVersion });
  expect(place.asked).toEqual([[ask(key, 0n), ask(key, 1n), ask(other, 0n)]]);
  place.answer();
  expect((await Promise.all(answers)).map(({ state }) => state?.id)).toEqual(["a", "a", "a", "b"]);
  expect(place.kept).toEqual([true, true]);
});

test.each(["gathered", "under way"])(
  "what changed while it was %s is answered and not kept",
  async (when) => {
    const place = new Place();
    const answers = [place.find(key), place.find(other)];
    if (when === "under way") await turn();
    place.reader.outdate(key);
    if (when === "gathered") await turn();
    place.answer();
    await Promise.all(answers);
    expect(place.kept).toEqual([false, true]);
  },
);

test.each(["gathered", "under way"])(
  "what may have changed while it was %s is not kept",
  async (when) => {
    const place = new Place();
    const answers = [place.find(key), place.find(other)];
    if (when === "under way") await turn();
    place.reader.outdateAll();
    if (when === "gathered") await turn();
    place.answer();
    await Promise.all(answers);
    expect(place.kept).toEqual([false, false]);
    const again = place.find(key);
    await turn();
    place.answer();
    await again;
    expect(place.kept).toEqual([true, false]);
  },
);
