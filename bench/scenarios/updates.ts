import type { Bench, Scenario } from "../bench.ts";
import type { Figure } from "../figure.ts";
import type { Slice } from "../measure/load.ts";
import {
  describeCores,
  describeCpu,
  ownCpuSeconds,
  treeCpuSeconds,
  withCores,
} from "../measure/processes.ts";
import { bestOf, ratioOf, spreadOf } from "../measure/statistics.ts";
import { checkCommitScript, commitScript } from "../parts/commit-call.ts";
import { makeDocument } from "../parts/documents.ts";
import { KnownStates } from "../parts/library.ts";
import { pgbench } from "../parts/pgbench.ts";
import type { Pgbench } from "../parts/pgbench.ts";

const CALLERS = 512;
const POOL = { connections: 20, callers: 64 };

export const updates: Scenario = {
  name: "updates",
  about: "durable updates a second at 512 callers, against pgbench and a pool; p99",
  run: async (bench) => {
    const { keys, clients } = bench.sizes;
    const postgres = await bench.postgres();
    const plain = await bench.plainTables();
    const plainPgbench = await plain.pgbench(keys);
    const commitPgbench = await commitBench(bench);
    const pool = await plain.openPool(POOL.connections);
    const library = await bench.openLibrary(await bench.seededDatabase());
    const states = await KnownStates.read(library, keys);
    const cores = {
      Node: () => ownCpuSeconds(process.pid),
      PostgreSQL: () => treeCpuSeconds(postgres.pid),
    };
    try {
      const slices = await bench.takeTurns<string, Slice>({
        library: () =>
          withCores(cores, () => bench.load(CALLERS, (caller) => states.update(caller, CALLERS))),
        ...atClients("plain", plainPgbench, clients),
        ...atClients("commit", commitPgbench, clients),
        pool: () => bench.load(POOL.callers, () => plain.update(pool)),
      });
      return figuresOf(slices, clients);
    } finally {
      await library.close();
      await pool.end();
    }
  },
};

/** pgbench on the commit function, in a database of its own. */
export async function commitBench(bench: Bench): Promise<Pgbench> {
  const postgres = await bench.postgres();
  const database = await bench.seededDatabase();
  const script = await commitScript(postgres, database);
  await checkCommitScript(postgres, database, script);
  const variables = { keys: bench.sizes.keys, data: JSON.stringify(makeDocument(1_024)) };
  const { workshop, seconds } = bench;
  return pgbench({ workshop, postgres, database, script, variables, seconds });
}

function atClients(
  name: string,
  run: Pgbench,
  all: readonly number[],
): Record<string, () => Promise<Slice>> {
  return Object.fromEntries(all.map((clients) => [`${name} ${clients}`, () => run(clients)]));
}

function figuresOf(
  slices: Readonly<Record<string, readonly Slice[]>>,
  clients: readonly number[],
): Figure[] {
  const ratesOf = (name: string): number[] => slices[name]!.map(({ rate }) => rate);
  const each = (name: string): number[][] => clients.map((count) => ratesOf(`${name} ${count}`));
  const byClients = (name: string): string =>
    each(name)
      .map((rates, index) => `${clients[index]} clients ${Math.round(spreadOf(rates).median)}/s`)
      .join(", ");
  const ours = ratesOf("library");
  const against = (name: string, rates: readonly number[]): Pick<Figure, "against" | "ratio"> => ({
    against: { name, value: spreadOf(rates) },
    ratio: ratioOf(ours, rates),
  });
  const name = `durable updates, ${CALLERS} callers`;
  const base = { name, unit: "/s", ours: spreadOf(ours) } as const;
  return [
    {
      ...base,
      ...against("pgbench, one plain statement, best", bestOf(each("plain"))),
      bar: { atLeast: 3 },
      notes: [
        `busy: ${describeCores(slices["library"]!)}; CPU an update: ${describeCpu(slices["library"]!)}`,
        `pgbench, plain: ${byClients("plain")}`,
      ],
    },
    {
      ...base,
      ...against("pgbench, same function, best", bestOf(each("commit"))),
      bar: { atLeast: 4 },
      notes: [`pgbench, same function: ${byClients("commit")}`],
    },
    { ...base, ...against("pg.Pool BEGIN..COMMIT", ratesOf("pool")), bar: { atLeast: 12 } },
    {
      name: `p99, ${CALLERS} callers`,
      unit: "ms",
      ours: spreadOf(slices["library"]!.map(({ p99Ms }) => p99Ms)),
      bar: { atMost: 50 },
      notes: [`p50 ${spreadOf(slices["library"]!.map(({ p50Ms }) => p50Ms)).median.toFixed(1)} ms`],
    },
  ];
}
