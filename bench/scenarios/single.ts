import type { Scenario } from "../bench.ts";
import { ratioOf, spreadOf } from "../measure/statistics.ts";
import { KnownStates } from "../parts/library.ts";
import { commitBench } from "./updates.ts";

export const single: Scenario = {
  name: "single",
  about: "what one caller waits, against pgbench with one client on the same function",
  run: async (bench) => {
    const { keys } = bench.sizes;
    const commit = await commitBench(bench);
    const plain = await (await bench.plainTables()).pgbench(keys);
    const library = await bench.openLibrary(await bench.seededDatabase());
    const states = await KnownStates.read(library, keys);
    try {
      const slices = await bench.takeTurns({
        library: () => bench.load(1, () => states.update(0, 1)),
        commit: () => commit(1),
        plain: () => plain(1),
      });
      const ours = slices.library.map(({ p50Ms }) => p50Ms);
      const against = slices.commit.map(({ p50Ms }) => p50Ms);
      const plainMs = spreadOf(slices.plain.map(({ p50Ms }) => p50Ms)).median;
      return [
        {
          name: "one caller, p50",
          unit: "ms",
          ours: spreadOf(ours),
          against: { name: "pgbench, same function, 1 client", value: spreadOf(against) },
          ratio: ratioOf(ours, against),
          bar: { atMost: 1.35 },
          notes: [
            "pgbench says its average only",
            `pgbench with the plain statement, 1 client: ${plainMs.toFixed(2)} ms`,
          ],
        },
      ];
    } finally {
      await library.close();
    }
  },
};
