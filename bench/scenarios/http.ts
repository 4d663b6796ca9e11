import type { Scenario } from "../bench.ts";
import type { HttpLoad } from "../children/http-load.ts";
import type { Slice } from "../measure/load.ts";
import {
  describeCores,
  describeCpu,
  ownCpuSeconds,
  treeCpuSeconds,
  withCores,
} from "../measure/processes.ts";
import { ratioOf, spreadOf } from "../measure/statistics.ts";
import { forkChild } from "../parts/fork-child.ts";
import { KnownStates } from "../parts/library.ts";
import { ensureBuilt, startService } from "../parts/service.ts";

const CALLERS = 64;

export const http: Scenario = {
  name: "http",
  about: "updates a second through HTTP, 64 connections, against the library with 64 callers",
  run: async (bench) => {
    const { keys } = bench.sizes;
    const { seconds } = bench;
    await ensureBuilt();
    const postgres = await bench.postgres();
    const main = postgres.url(await bench.seededDatabase());
    const service = await startService(bench, { env: { AGENT_RUNTIME_SUPABASE_MAIN: main } });
    const client = bench.workshop.keep(forkChild("http-load"));
    const library = await bench.openLibrary(await bench.seededDatabase());
    const states = await KnownStates.read(library, keys);
    const order: HttpLoad = { url: service.url, connections: CALLERS, keys, seconds };
    const cores = {
      client: () => ownCpuSeconds(client.pid),
      service: () => ownCpuSeconds(service.program.pid),
      PostgreSQL: () => treeCpuSeconds(postgres.pid),
    };
    try {
      const slices = await bench.takeTurns({
        http: () => withCores(cores, () => client.ask<Slice>(order)),
        library: () => bench.load(CALLERS, (caller) => states.update(caller, CALLERS)),
      });
      const rates = slices.http.map(({ rate }) => rate);
      const against = slices.library.map(({ rate }) => rate);
      const { median } = spreadOf(slices.http.map(({ p50Ms }) => p50Ms));
      return [
        {
          name: `updates through HTTP, ${CALLERS} connections`,
          unit: "/s",
          ours: spreadOf(rates),
          against: { name: `library, ${CALLERS} callers`, value: spreadOf(against) },
          ratio: ratioOf(rates, against),
          bar: { atLeast: 0.2 },
          notes: [
            `busy: ${describeCores(slices.http)}; CPU an update: ${describeCpu(slices.http)}; p50 ${median.toFixed(1)} ms`,
          ],
        },
      ];
    } finally {
      await library.close();
      await client.stop();
      await service.program.stop();
    }
  },
};
