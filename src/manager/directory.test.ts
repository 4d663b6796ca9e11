import { expect, test } from "vitest";
import type { ChangeRow, PreparedChange } from "../state/ports.ts";
import { Directory } from "./directory.ts";
import type { Dates } from "./directory.ts";

const key = { namespace: "default", id: "a" };

/** A write that brings the state to a version, one second after 1970. */
function write(
  directory: Directory,
  version: bigint,
  { created = false, expiresAt = null as PreparedChange["expiresAt"] } = {},
): Dates | null {
  const change = { op: "update", expiresAt } as PreparedChange;
  const row = { version, scope: "agent-1", created, at: new Date(1_000) } as ChangeRow;
  return directory.follow(key, change, row);
}

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

test("follows writes: dates go on from one version to the next, and over no gap", () => {
  const directory = new Directory();
  const made = { createdAtMs: 1_000, expiresAt: null };
  expect(write(directory, 1n, { created: true })).toEqual(made);
  expect(write(directory, 2n)).toEqual(made);
  const expiresAt = new Date(9_000);
  expect(write(directory, 3n, { expiresAt })).toEqual({ ...made, expiresAt });
  expect(write(directory, 4n)).toEqual({ ...made, expiresAt });
  expect(write(directory, 5n, { expiresAt: "never" })).toEqual(made);
  expect(write(directory, 7n)).toBeNull(); // another process wrote between
  expect(write(directory, 8n)).toBeNull();
  expect(write(directory, 6n)).toBeNull(); // its answer came late
  expect(directory.knownVersion(key)).toBe(8n);
  directory.note(key, { version: 8n, scope: "agent-1" }, { ...made, expiresAt });
  expect(write(directory, 9n)).toEqual({ ...made, expiresAt });
  directory.raise(key, 10n);
  expect(write(directory, 11n)).toBeNull();
  expect(write(directory, 12n, { created: true })).toEqual(made);
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

test("what is found elsewhere is older, the newest, or nothing that is known for sure", () => {
  const directory = new Directory();
  directory.note(key, { version: 5n, scope: "s" }, undefined, true);
  const standings = (): string[] => [4n, 5n, 6n].map((version) => directory.judge("a", version));
  expect(standings()).toEqual(["older", "newest", "newest"]);
  directory.doubt(key);
  expect(standings()).toEqual(["older", "unsure", "unsure"]);
  directory.note(key, { version: 5n, scope: "s" }, undefined, true);
  directory.doubtAll();
  expect(standings()).toEqual(["older", "unsure", "unsure"]);
  expect(directory.judge("b", 1n)).toBe("unsure");
});
