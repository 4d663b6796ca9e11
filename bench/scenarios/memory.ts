import { setTimeout as sleep } from "node:timers/promises";
import type { Scenario } from "../bench.ts";
import { memoryOf } from "../measure/processes.ts";
import { spreadOf } from "../measure/statistics.ts";
import { ensureBuilt, startService } from "../parts/service.ts";

const BETWEEN_MS = 500;

export const memory: Scenario = {
  name: "memory",
  about: "resident memory of the embedded service and its servers, idle",
  run: async (bench) => {
    await ensureBuilt();
    const dataDir = bench.workshop.newFolder("idle");
    const service = await startService(bench, { args: ["--data-dir", dataDir] });
    try {
      const { signal } = bench.workshop;
      await sleep(bench.sizes.idleSeconds * 1_000, undefined, { signal });
      const { look } = await bench.takeTurns({
        look: async () => {
          await sleep(BETWEEN_MS, undefined, { signal });
          return memoryOf(service.program.pid);
        },
      });
      const rss = spreadOf(look.map(({ rssMiB }) => rssMiB)).median;
      return [
        {
          name: "embedded memory, idle, all processes",
          unit: "MiB",
          ours: spreadOf(look.map(({ pssMiB }) => pssMiB)),
          bar: { atMost: 200 },
          notes: [
            `PSS, where a page that processes share counts once; the sum of RSS, where it counts in each, is ${rss.toFixed(0)} MiB`,
          ],
        },
      ];
    } finally {
      await service.program.stop();
    }
  },
};
