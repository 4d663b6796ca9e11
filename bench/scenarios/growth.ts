import type { Scenario } from "../bench.ts";
import type { Growth, GrowthOrder } from "../children/growth.ts";
import { treeCpuSeconds } from "../measure/processes.ts";
import { spreadOf } from "../measure/statistics.ts";
import { forkChild } from "../parts/fork-child.ts";

export const growth: Scenario = {
  name: "growth",
  about: "memory of the library after many updates; CPU an update",
  run: async (bench) => {
    const { keys, growth: marks } = bench.sizes;
    const postgres = await bench.postgres();
    const url = postgres.url(await bench.seededDatabase());
    const child = bench.workshop.keep(forkChild("growth", { execArgv: ["--expose-gc"] }));
    const tell = (order: GrowthOrder): Promise<Growth> => child.ask<Growth>(order);
    const looks: Growth[] = [];
    let done = 0;
    try {
      const start = await tell({ url, keys });
      const postgresStart = treeCpuSeconds(postgres.pid);
      for (const mark of marks) {
        bench.workshop.signal.throwIfAborted();
        bench.progress(`up to ${mark} updates`);
        looks.push(await tell({ updates: mark - done }));
        done = mark;
      }
      const node = looks.at(-1)!.cpuSeconds - start.cpuSeconds;
      const server = treeCpuSeconds(postgres.pid) - postgresStart;
      const [first, last] = [looks[0]!, looks.at(-1)!];
      const each = looks.map(
        (look, index) =>
          `${marks[index]!.toLocaleString("en-US")}: ${look.rssMiB.toFixed(0)} (heap ${look.heapMiB.toFixed(0)})`,
      );
      return [
        {
          name: `memory of the process after ${done.toLocaleString("en-US")} updates`,
          unit: "MiB",
          ours: spreadOf([last.rssMiB]),
          against: {
            name: `after ${marks[0]!.toLocaleString("en-US")}`,
            value: spreadOf([first.rssMiB]),
          },
          ratio: spreadOf([last.rssMiB / first.rssMiB]),
          bar: { atMost: 1.1 },
          notes: [
            `RSS after garbage collection, MiB after updates: ${each.join(", ")}`,
            `CPU an update: Node ${micros(node, done)}, PostgreSQL ${micros(server, done)}`,
          ],
        },
      ];
    } finally {
      await child.stop();
    }
  },
};

function micros(seconds: number, updates: number): string {
  return `${((seconds / updates) * 1e6).toFixed(0)} µs`;
}
