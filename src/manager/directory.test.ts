import { expect, test } from "vitest";
import { Directory } from "./directory.ts";

const key = { namespace: "default", id: "a" };

test("knows the newest version and the scope, in whatever order they come", () => {
  const directory = new Directory();
  for (const version of [2n, 5n, 3n]) directory.note(key, { version, scope: "agent-1" });
  expect(directory.knownVersion(key)).toBe(5n);
  expect(directory.scopeOf(key)).toBe("agent-1");
});

test("raises what it knows, and keeps nothing of what it does not", () => {
  const directory = new Directory();
  directory.note(key, { version: 2n, scope: "agent-1" });
  directory.raise(key, 4n);
  directory.raise(key, 3n);
  expect(directory.knownVersion(key)).toBe(4n);
  directory.raise({ ...key, id: "b" }, 9n);
  expect(directory.knownVersion({ ...key, id: "b" })).toBeUndefined();
  expect(directory.scopeOf({ ...key, id: "b" })).toBeUndefined();
});

test("knows the dates of the version that it knows, and of no other", () => {
  const directory = new Directory();
  const dates = { createdAtMs: 1_000, expiresAt: null };
  directory.note(key, { version: 2n, scope: "agent-1" }, dates);
  directory.note(key, { version: 1n, scope: "agent-1" }, { createdAtMs: 5, expiresAt: null });
  directory.note(key, { version: 2n, scope: "agent-1" });
  expect(directory.datesAt(key, 2n)).toMatchObject(dates);
  expect([directory.datesAt(key, 1n), directory.datesAt(key, 3n)]).toEqual([null, null]);
  directory.raise(key, 3n);
  expect(directory.datesAt(key, 3n)).toBeNull();
  const expiresAt = new Date(9_000);
  directory.note(key, { version: 3n, scope: "agent-1" }, { createdAtMs: 2_000, expiresAt });
  expect(directory.datesAt(key, 3n)).toMatchObject({ createdAtMs: 2_000, expiresAt });
});

test("tells namespaces apart", () => {
  const directory = new Directory();
  directory.note(key, { version: 1n, scope: "agent-1" });
  directory.note({ ...key, namespace: "other" }, { version: 2n, scope: "agent-2" });
  expect(directory.knownVersion(key)).toBe(1n);
  expect(directory.scopeOf({ ...key, namespace: "other" })).toBe("agent-2");
});

test("keeps within its bound, and what is written again and again in it", () => {
  const directory = new Directory(100);
  for (let n = 1n; n <= 1_000n; n++) {
    directory.note(key, { version: n, scope: "agent-1" });
    directory.note({ ...key, id: `once-${n}` }, { version: 1n, scope: "agent-2" });
  }
  expect(directory.knownVersion(key)).toBe(1_000n);
  const kept = Array.from({ length: 1_000 }, (_, i) => ({ ...key, id: `once-${i + 1}` })).filter(
    (once) => directory.knownVersion(once) !== undefined,
  );
  expect(kept).toHaveLength(99);
});
