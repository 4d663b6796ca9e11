import type { Scenario } from "../bench.ts";
import { ratioOf, spreadOf } from "../measure/statistics.ts";
import { unwindStacks } from "../parts/interrupted-stacks.ts";

const DEPTH = 10;
const TIMES = 10;

export const unwind: Scenario = {
  name: "unwind",
  about: "stacks whose tasks are each interrupted 10 deep and all resumed, and ten times as many",
  run: async (bench) => {
    const { stacks: few } = bench.sizes;
    const library = await bench.openLibrary(await bench.newDatabase());
    let run = 0;
    const perStack = async (stacks: number): Promise<number> => {
      const from = performance.now();
      await unwindStacks(library, { stacks, depth: DEPTH, prefix: `unwind${++run}` });
      return (performance.now() - from) / stacks;
    };
    await perStack(few); // tables are not empty, and plans are made
    const taken = await bench.takeTurns({
      few: () => perStack(few),
      many: () => perStack(few * TIMES),
    });
    await library.close();
    const count = (stacks: number): string => stacks.toLocaleString("en-US");
    return [
      {
        name: `${count(few * TIMES)} stacks interrupted ${DEPTH} deep and unwound, a stack`,
        unit: "ms",
        ours: spreadOf(taken.many),
        against: { name: `${count(few)} stacks`, value: spreadOf(taken.few) },
        ratio: ratioOf(taken.many, taken.few),
        bar: { atMost: 1.3 },
        notes: [
          "the order in which the tasks of each stack end is checked; it breaks off otherwise",
        ],
      },
    ];
  },
};
