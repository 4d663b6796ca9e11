import type { Scenario } from "../bench.ts";
import { spreadOf } from "../measure/statistics.ts";
import { ensureBuilt, startService } from "../parts/service.ts";

export const start: Scenario = {
  name: "start",
  about: "from `./agent_runtime state` to ready, embedded: first time, second time",
  run: async (bench) => {
    await ensureBuilt();
    let folder = "";
    let count = 0;
    const startOnce = async (): Promise<number> => {
      const service = await startService(bench, { args: ["--data-dir", folder] });
      await service.program.stop();
      return service.readyMs / 1_000;
    };
    const { first, second } = await bench.takeTurns({
      first: () => {
        folder = bench.workshop.newFolder(`start-${++count}`);
        return startOnce();
      },
      second: startOnce,
    });
    const name = "start to ready, embedded";
    return [
      { name: `${name}, first time`, unit: "s", ours: spreadOf(first), bar: { atMost: 3 } },
      { name: `${name}, second time`, unit: "s", ours: spreadOf(second), bar: { atMost: 1 } },
    ];
  },
};
