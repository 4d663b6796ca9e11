import { expect, test } from "vitest";
import { comparePositions, laterPosition } from "./log-position.ts";
import { Seen } from "./seen.ts";

const key = { namespace: "n", id: "a" };

test("what was seen counts until the replica has come after the generation that saw it", () => {
  const seen = new Seen();
  seen.noteState({ ...key, version: 3n, scope: "s", step: 7n });
  seen.noteState({ ...key, version: 2n });
  expect(seen.close()).toBe(true);
  seen.noteState({ ...key, version: 4n, scope: "s", step: 8n });
  expect(seen.close()).toBe(false);
  expect(seen.leastVersion(key)).toBe(4n);
  expect(seen.stepsIn("n")).toHaveLength(2);
  expect(seen.stepsIn("n", "t")).toEqual([]);
  expect(seen.stepsIn("m")).toEqual([]);
  seen.forget("0/10", 10);
  expect(seen.leastVersion(key)).toBe(4n);
  seen.close();
  seen.forget("0/20", 20);
  expect(seen.leastVersion(key)).toBe(0n);
  expect(seen.isEmpty).toBe(true);
});

test("with more than is remembered nothing is trusted, until that was forgotten", () => {
  const seen = new Seen(2);
  for (const id of ["a", "b", "c"]) seen.noteState({ ...key, id, version: 1n });
  expect(seen.isFull).toBe(true);
  seen.close();
  expect(seen.isFull).toBe(true);
  seen.forget("0/10", 10);
  expect(seen.isFull).toBe(false);
});

test("of a write in doubt no version is new enough, nor any step of any scope of its namespace", () => {
  const seen = new Seen();
  seen.noteDoubt(key);
  seen.noteState({ ...key, version: 9n, scope: "s", step: 1n });
  expect(seen.leastVersion(key)).toBe(2n ** 63n - 1n);
  expect(seen.stepsIn("n", "s")).toHaveLength(2);
  expect(seen.stepsIn("m")).toEqual([]);
});

test("more scopes than a read can demand are too many to say", () => {
  const seen = new Seen();
  for (let n = 0; n <= 200; n++) seen.noteScope({ namespace: "n", scope: `s${n}`, step: 1n });
  expect(seen.stepsIn("n")).toBeNull();
  expect(seen.stepsIn("n", "s7")).toHaveLength(1);
});

test("a read must come after what was forgotten, and after what the replica answered before", () => {
  const seen = new Seen();
  expect(seen.position).toBeNull();
  expect(seen.asOfMs).toBeUndefined();
  seen.notePosition("0/FFFFFFFF");
  seen.close();
  seen.notePosition("1/0");
  expect(seen.position).toBe("1/0");
  seen.forget("0/10", 10);
  expect(seen.position).toBe("1/0");
  seen.close();
  seen.forget("0/20", 20); // another log, as after a restore
  expect(seen.position).toBe("0/20");
  expect(seen.asOfMs).toBe(20);
});

test("positions are compared as numbers", () => {
  expect(comparePositions("0/FFFFFFFF", "1/0")).toBe(-1);
  expect(comparePositions("A/1", "9/FF")).toBe(1);
  expect(comparePositions("0/1A", "0/0000001a")).toBe(0);
  expect(laterPosition(null, "0/1")).toBe("0/1");
});
