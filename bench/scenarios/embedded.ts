import type { Scenario } from "../bench.ts";
import { ratioOf, spreadOf } from "../measure/statistics.ts";
import type { Slice } from "../measure/load.ts";
import type { Figure } from "../figure.ts";
import { KnownStates, seedStates } from "../parts/library.ts";

const CALLERS = 512;

export const embedded: Scenario = {
  name: "embedded",
  about: "updates a second on the embedded PostgreSQL, against the separate one",
  run: async (bench) => {
    const { keys } = bench.sizes;
    const separate = await bench.openLibrary(await bench.seededDatabase());
    const own = await bench.openLibrary({ dataDir: bench.workshop.newFolder("embedded") });
    try {
      bench.progress(`creating ${keys} states on the embedded one`);
      await seedStates(own, keys);
      const onOwn = await KnownStates.read(own, keys);
      const onSeparate = await KnownStates.read(separate, keys);
      const load = (states: KnownStates, callers: number) => (): Promise<Slice> =>
        bench.load(callers, (caller) => states.update(caller, callers));
      const slices = await bench.takeTurns({
        "embedded, 1 caller": load(onOwn, 1),
        "separate, 1 caller": load(onSeparate, 1),
        "embedded, 512 callers": load(onOwn, CALLERS),
        "separate, 512 callers": load(onSeparate, CALLERS),
      });
      return [
        figureOf("1 caller", slices["embedded, 1 caller"], slices["separate, 1 caller"]),
        figureOf("512 callers", slices["embedded, 512 callers"], slices["separate, 512 callers"]),
      ];
    } finally {
      await own.close();
      await separate.close();
    }
  },
};

function figureOf(callers: string, own: readonly Slice[], separate: readonly Slice[]): Figure {
  const rates = own.map(({ rate }) => rate);
  const against = separate.map(({ rate }) => rate);
  return {
    name: `embedded updates, ${callers}`,
    unit: "/s",
    ours: spreadOf(rates),
    against: { name: "separate PostgreSQL", value: spreadOf(against) },
    ratio: ratioOf(rates, against),
    bar: { atLeast: 0.9 },
  };
}
