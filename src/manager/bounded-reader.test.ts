import { expect, test } from "vitest";
import { PAGE_BYTES } from "../state/page.ts";
import type { StateKey, StoredState } from "../state/ports.ts";
import { BoundedReader } from "./bounded-reader.ts";

const MIB = 1024 * 1024;

/** A reader whose states have so many bytes; counts what it is asked for, and how much of it at once. */
function readerOf(bytes: number) {
  const text = "x".repeat(bytes);
  const seen = { reads: 0, atOnce: 0, most: 0 };
  const read = async (): Promise<StoredState> => {
    seen.reads++;
    seen.most = Math.max(seen.most, ++seen.atOnce);
    await new Promise((resolve) => setImmediate(resolve));
    seen.atOnce--;
    return { text } as StoredState;
  };
  return { read, seen };
}

function readMany(reader: BoundedReader, count: number): Promise<(StoredState | null)[]> {
  const key: StateKey = { namespace: "n", id: "a" };
  return Promise.all(Array.from({ length: count }, () => reader.read(key)));
}

test("reads no more than a page, and side by side only what surely fits", async () => {
  const { read, seen } = readerOf(MIB);
  const states = await readMany(new BoundedReader({ read }, MIB), 1_000);
  expect(states.filter((state) => state !== null)).toHaveLength(PAGE_BYTES / MIB);
  expect(seen).toEqual({ reads: PAGE_BYTES / MIB, atOnce: 0, most: PAGE_BYTES / MIB });
});

test("of small states reads all, some of them at once", async () => {
  const { read, seen } = readerOf(1_000);
  const states = await readMany(new BoundedReader({ read }, MIB), 1_000);
  expect(states).not.toContain(null);
  expect(seen).toMatchObject({ reads: 1_000, most: 8 });
});

test("reads one state, however large, and goes on after one that cannot be read", async () => {
  const { read } = readerOf(2 * PAGE_BYTES);
  const large = await readMany(new BoundedReader({ read }, 2 * PAGE_BYTES), 3);
  expect(large.map((state) => state !== null)).toEqual([true, false, false]);
  let isFirst = true;
  const failing = new BoundedReader(
    {
      read: async () => {
        if (!isFirst) return null;
        isFirst = false;
        throw new Error("lost");
      },
    },
    2 * PAGE_BYTES,
  );
  const key = { namespace: "n", id: "a" };
  const fates = await Promise.allSettled([failing.read(key), failing.read(key)]);
  expect(fates.map(({ status }) => status)).toEqual(["rejected", "fulfilled"]);
});
