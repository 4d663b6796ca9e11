import { expect, test, vi } from "vitest";
import type { StoredState } from "../state/ports.ts";
import type { State } from "../state/state.ts";
import { Directory } from "./directory.ts";
import { StateCache, stateFrom } from "./state-cache.ts";

const key = { namespace: "default", id: "a" };

function stored(version: bigint, data: unknown = { version: Number(version) }): StoredState {
  const at = new Date(0);
  return {
    ...key,
    type: "note",
    scope: "a",
    version,
    step: version,
    phase: null,
    digest: "",
    createdAt: at,
    updatedAt: at,
    expiresAt: null,
    deleted: false,
    text: JSON.stringify(data),
  };
}

const cache = (directory = new Directory()): StateCache =>
  new StateCache({ entries: 100, bytes: 1_000_000 }, directory);

const answer = (known: StateCache, leastVersion?: bigint): Promise<State> | undefined =>
  known.answer(key.namespace, key.id, leastVersion);

test("never goes back to an older version, in whatever order they come", async () => {
  const known = cache();
  for (const version of [2n, 5n, 3n, 5n, 1n]) known.put(stored(version));
  expect(known.peek(key)?.head.version).toBe(5n);
  expect(await answer(known)).toMatchObject({ data: { version: 5 } });
  known.note(key, { version: 4n, scope: "a" });
  expect(known.peek(key)?.head.version).toBe(5n);
});

test("keeps nothing that is older than what is known, and serves none of it", () => {
  const directory = new Directory();
  const known = cache(directory);
  known.put(stored(2n));
  known.outdate(key, 3n);
  expect(answer(known)).toBeUndefined();
  expect(known.data(key)).toBeUndefined();
  expect([directory.knownVersion(key), directory.scopeOf(key)]).toEqual([3n, "a"]);
  known.put(stored(2n)); // a read that was under way
  expect(answer(known)).toBeUndefined();
  known.put(stored(3n));
  expect(known.data(key)).toMatchObject({ version: 3n, type: "note" });
  known.outdate({ ...key, id: "unknown" }, 9n);
  expect(directory.knownVersion({ ...key, id: "unknown" })).toBeUndefined();
});

test("reads anew what it was told to forget", () => {
  const known = cache();
  known.put(stored(7n));
  known.forget(key);
  expect(known.peek(key)).toBeUndefined();
  known.put(stored(6n)); // a version is never taken back
  expect(known.peek(key)).toBeUndefined();
  known.put(stored(7n));
  expect(known.peek(key)?.head.version).toBe(7n);
});

test("parses a document once, at the first look, and freezes it to its leaves", async () => {
  const known = cache();
  known.put(stored(1n, { list: [{ deep: 1 }] }));
  const entry = known.peek(key)!;
  expect([entry.state, typeof entry.text]).toEqual([null, "string"]);
  const state = (await answer(known))!;
  expect([entry.state, entry.head, entry.text]).toEqual([state, state, null]);
  expect(answer(known)).toBe(answer(known));
  expect(Object.isFrozen(state)).toBe(true);
  expect(Object.isFrozen((state.data as { list: object[] }).list[0])).toBe(true);
  known.put(stored(1n)); // the same version again is the same state
  expect(known.peek(key)).toBe(entry);
});

test("knows whether somebody asked for a state since its version came", () => {
  const known = cache();
  const isRead = (): boolean | undefined => known.peek(key)?.isRead;
  const { text, deleted: _, ...head } = stored(1n);
  known.putText(head, text!);
  expect(isRead()).toBe(false);
  void answer(known);
  expect(isRead()).toBe(true);
  known.putText({ ...head, version: 2n }, text!);
  expect(isRead()).toBe(false);
  known.data(key);
  expect(isRead()).toBe(true);
  known.put(stored(3n)); // as a reader that asked for it does
  expect(isRead()).toBe(true);
});

test("answers nothing that is too old, replaced, forgotten or over, however often it was asked", async () => {
  const known = cache();
  const versionOf = async (): Promise<bigint | undefined> => (await answer(known))?.version;
  known.put(stored(1n));
  expect([await versionOf(), await versionOf()]).toEqual([1n, 1n]);
  expect((await answer(known, 1n))?.version).toBe(1n);
  expect(answer(known, 2n)).toBeUndefined();
  known.put(stored(2n));
  expect([await versionOf(), await versionOf()]).toEqual([2n, 2n]);
  known.outdate(key, 3n);
  expect(answer(known)).toBeUndefined();
  known.put(stored(3n));
  expect(await versionOf()).toBe(3n);
  known.forget(key);
  expect(answer(known)).toBeUndefined();
  known.put(stored(3n));
  expect(await versionOf()).toBe(3n);
  known.clear();
  expect(answer(known)).toBeUndefined();
  const expiresAt = new Date(Date.now() + 20);
  known.put({ ...stored(4n), expiresAt });
  expect(await versionOf()).toBe(4n);
  vi.useFakeTimers({ now: expiresAt });
  expect(answer(known)).toBeUndefined();
  vi.useRealTimers();
});

test("keeps what is asked for over and over, and counts each time", async () => {
  const known = new StateCache({ entries: 10, bytes: 1_000_000 }, new Directory());
  known.put(stored(1n));
  for (let other = 0; other < 100; other++) {
    for (let look = 0; look < 3; look++) expect((await answer(known))?.version).toBe(1n);
    known.put({ ...stored(1n), id: `other-${other}` });
  }
  expect(known.peek(key)).toBeDefined();
  expect(known.figures).toMatchObject({ hits: 300, misses: 0, size: 10 });
});

test("tells namespaces apart, and keeps no tombstone", () => {
  const directory = new Directory();
  const known = cache(directory);
  known.put(stored(1n));
  known.put({ ...stored(2n), namespace: "other" });
  expect(known.peek(key)?.head.version).toBe(1n);
  expect(known.peek({ ...key, namespace: "other" })?.head.version).toBe(2n);
  const grave = { ...stored(3n), deleted: true, text: null };
  known.put(grave);
  expect(known.peek(key)).toBeUndefined();
  expect(directory.knownVersion(key)).toBe(3n);
  expect(stateFrom(grave).data).toBeNull();
});

test("counts what its entries cost, and stays within it", () => {
  const known = new StateCache({ entries: 1_000, bytes: 10_000 }, new Directory());
  for (let i = 0; i < 100; i++) known.put({ ...stored(1n, "x".repeat(300)), id: `s${i}` });
  expect(known.figures.bytes).toBeLessThanOrEqual(10_000);
  expect(known.figures.size).toBeGreaterThan(5);
  known.clear();
  expect(known.figures).toMatchObject({ size: 0, bytes: 0 });
});
