import { setImmediate as nextTurn } from "node:timers/promises";
import type { Scenario } from "../bench.ts";
import { spreadOf } from "../measure/statistics.ts";
import { random } from "../parts/documents.ts";
import { idOf } from "../parts/keys.ts";
import type { Library } from "../parts/library.ts";

/** Reads between two looks at the clock. */
const BURST = 10_000;
const READ_AT_ONCE = 1_000;

export const cache: Scenario = {
  name: "cache",
  about: "reads by id from the in-process cache",
  run: async (bench) => {
    const { keys } = bench.sizes;
    const postgres = await bench.postgres();
    const main = postgres.url(await bench.seededDatabase());
    const library = await bench.openLibrary({
      supabase: { main },
      cache: { entries: 2 * keys, bytes: 2 ** 30 },
    });
    const ids = Array.from({ length: keys }, (_, index) => idOf(index + 1));
    try {
      await readAll(library, ids);
      const { hits } = await bench.takeTurns({ hits: () => readFor(library, ids, bench.seconds) });
      return [
        {
          name: `reads by id from the cache, ${keys.toLocaleString("en-US")} keys`,
          unit: "/s",
          ours: spreadOf(hits),
          bar: { atLeast: 1_000_000 },
          notes: ["one caller that awaits each read; a uniform choice of keys"],
        },
      ];
    } finally {
      await library.close();
    }
  },
};

async function readAll(library: Library, ids: readonly string[]): Promise<void> {
  for (let from = 0; from < ids.length; from += READ_AT_ONCE) {
    await Promise.all(ids.slice(from, from + READ_AT_ONCE).map((id) => library.getState(id)));
  }
  // The first look at each parses its document.
  for (const id of ids) await library.getState(id);
}

async function readFor(library: Library, ids: readonly string[], seconds: number): Promise<number> {
  let reads = 0;
  const from = performance.now();
  while (performance.now() - from < seconds * 1_000) {
    for (let burst = 0; burst < BURST; burst++) await library.getState(ids[random(ids.length)]!);
    reads += BURST;
    await nextTurn(); // Reads from memory are microtasks: timers would starve.
  }
  return reads / ((performance.now() - from) / 1_000);
}
