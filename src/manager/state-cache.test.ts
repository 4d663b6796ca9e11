import { expect, test } from "vitest";
import type { StoredState } from "../state/ports.ts";
import { materialize, StateCache, stateFrom } from "./state-cache.ts";

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

const cache = (): StateCache => new StateCache({ entries: 100, bytes: 1_000_000 });

test("never goes back to an older version, in whatever order they come", () => {
  const known = cache();
  for (const version of [2n, 5n, 3n, 5n, 1n]) known.put(stored(version));
  expect(known.peek(key)?.version).toBe(5n);
  expect(materialize(known.get(key.namespace, key.id)!)?.data).toEqual({ version: 5 });
  known.note(key, 4n, "a");
  expect(known.get(key.namespace, key.id)?.head).not.toBeNull();
});

test("knows of a newer version that it does not have, and then serves none", () => {
  const known = cache();
  known.put(stored(2n));
  known.outdate(key, 3n);
  expect(known.get(key.namespace, key.id)).toMatchObject({ version: 3n, head: null, scope: "a" });
  expect(known.data(key)).toBeUndefined();
  known.put(stored(2n)); // a read that was under way
  expect(known.get(key.namespace, key.id)?.head).toBeNull();
  known.put(stored(3n));
  expect(known.data(key)).toMatchObject({ version: 3n, type: "note" });
  known.outdate({ ...key, id: "unknown" }, 9n);
  expect(known.peek({ ...key, id: "unknown" })).toBeUndefined();
});

test("knows nothing any more of what it was told to forget", () => {
  const known = cache();
  known.put(stored(7n));
  known.forget(key);
  expect(known.peek(key)).toBeUndefined();
  known.put(stored(6n));
  expect(known.peek(key)?.version).toBe(6n);
});

test("parses a document once, at the first look, and freezes it to its leaves", () => {
  const known = cache();
  const entry = known.put(stored(1n, { list: [{ deep: 1 }] }));
  expect(entry.text).not.toBeNull();
  const state = materialize(entry)!;
  expect(entry.text).toBeNull();
  expect(materialize(entry)).toBe(state);
  expect(Object.isFrozen((state.data as { list: object[] }).list[0])).toBe(true);
  expect(materialize(known.put(stored(1n)))).toBe(state); // the same version again is the same state
});

test("tells namespaces apart, and a tombstone from a document", () => {
  const known = cache();
  known.put(stored(1n));
  known.put({ ...stored(2n), namespace: "other" });
  expect(known.peek(key)?.version).toBe(1n);
  expect(known.peek({ ...key, namespace: "other" })?.version).toBe(2n);
  const grave = known.put({ ...stored(3n), deleted: true, text: null });
  expect(materialize(grave)).toBeNull();
  expect(stateFrom({ ...stored(3n), deleted: true, text: null }).data).toBeNull();
});

test("counts what its entries cost, and stays within it", () => {
  const known = new StateCache({ entries: 1_000, bytes: 10_000 });
  for (let i = 0; i < 100; i++) known.put({ ...stored(1n, "x".repeat(300)), id: `s${i}` });
  expect(known.figures.bytes).toBeLessThanOrEqual(10_000);
  expect(known.figures.size).toBeGreaterThan(5);
  known.clear();
  expect(known.figures).toMatchObject({ size: 0, bytes: 0 });
});
