import type { Bench, Scenario } from "../bench.ts";
import type { Figure } from "../figure.ts";
import { ratioOf, spreadOf } from "../measure/statistics.ts";
import { percentile } from "../../src/cli/print/numbers.ts";
import type { Library } from "../parts/library.ts";
import { drainRate, pushTasks } from "../parts/task-load.ts";

/** Handlers at a time. */
const CONCURRENCY = 512;
const STARTS = 100;

export const tasks: Scenario = {
  name: "tasks",
  about: "tasks that one process claims and completes, deep stacks, and how soon a handler starts",
  run: async (bench) => [
    ...(await throughput(bench)),
    ...(await deep(bench)),
    ...(await starts(bench)),
  ],
};

async function openTasks(bench: Bench): Promise<Library> {
  return await bench.openLibrary(await bench.newDatabase());
}

async function throughput(bench: Bench): Promise<Figure[]> {
  const { stacks, tasks: count } = bench.sizes;
  const library = await openTasks(bench);
  let round = 0;
  const { ours } = await bench.takeTurns({
    ours: async () => {
      await pushTasks(library, { count, stacks, prefix: `wide${++round}` });
      return await drainRate(library, { count, concurrency: CONCURRENCY });
    },
  });
  await library.close();
  return [
    {
      name: `tasks claimed and completed, ${stacks.toLocaleString("en-US")} stacks`,
      unit: "/s",
      ours: spreadOf(ours),
      bar: null,
      notes: [`an empty handler, ${CONCURRENCY} at a time, ${count / stacks} tasks a stack`],
    },
  ];
}

/** One after the other: each is claimed in the call that completes the one before. */
async function deep(bench: Bench): Promise<Figure[]> {
  const { deepStack, keys } = bench.sizes;
  const bare = await (await bench.plainTables()).pgbench(keys);
  const library = await openTasks(bench);
  bench.progress(`pushing ${deepStack} tasks`);
  await pushTasks(library, { count: deepStack, stacks: 1, prefix: "deep" });
  const order = { worker: "bench", incarnation: "1", stacks: ["deep-0"], limit: 1 };
  let [task] = await library.tasks.claim(order);
  const results = await bench.takeTurns({
    bare: () => bare(1),
    deep: () =>
      bench.load(1, async () => {
        if (task === undefined) throw new Error("the stack was worked off before the slice ended");
        const { id, epoch } = task;
        const told = await library.tasks.complete(id, { epoch, result: null, next: order });
        [task] = told.tasks;
      }),
  });
  await library.close();
  const rates = results.deep.map(({ rate }) => rate);
  const others = results.bare.map(({ rate }) => rate);
  return [
    {
      name: `one stack of ${deepStack.toLocaleString("en-US")}, one task after the other`,
      unit: "/s",
      ours: spreadOf(rates),
      against: { name: "pgbench, one plain statement, 1 client", value: spreadOf(others) },
      ratio: ratioOf(rates, others),
      bar: { atLeast: 0.8 },
    },
  ];
}

async function starts(bench: Bench): Promise<Figure[]> {
  const library = await openTasks(bench);
  let began = (): void => undefined;
  const processor = library.startLifoTaskProcessor(() => began());
  const one = async (n: number): Promise<number> => {
    const isBegun = new Promise<void>((resolve) => (began = resolve));
    const from = performance.now();
    await Promise.all([library.tasks.push(`start-${n}`, {}), isBegun]);
    return performance.now() - from;
  };
  for (let n = 0; n < 20; n++) await one(n);
  const { idle } = await bench.takeTurns({
    idle: async () => {
      const latencies: number[] = [];
      for (let n = 0; n < STARTS; n++) latencies.push(await one(n));
      return Float64Array.from(latencies).toSorted();
    },
  });
  await processor.stop();
  await library.close();
  const at = (share: number): number[] => idle.map((sorted) => percentile(sorted, share));
  return [
    { name: "push to the start of its handler, p50", share: 0.5, bar: { atMost: 5 } },
    { name: "push to the start of its handler, p99", share: 0.99, bar: { atMost: 25 } },
  ].map(({ name, share, bar }) => ({ name, unit: "ms", ours: spreadOf(at(share)), bar }));
}
