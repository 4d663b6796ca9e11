import { readFileSync } from "node:fs";
import { join } from "node:path";
import { packageRoot } from "../../src/service/package-root.ts";
import type { Bench, Scenario } from "../bench.ts";
import { describeCpu, treeCpuSeconds, withCores } from "../measure/processes.ts";
import { ratioOf, spreadOf } from "../measure/statistics.ts";
import { KnownStates } from "../parts/library.ts";
import type { Library } from "../parts/library.ts";
import { pgbench } from "../parts/pgbench.ts";
import type { Pgbench } from "../parts/pgbench.ts";
import type { Postgres } from "../parts/postgres.ts";

const CALLERS = 512;
/** A lease of 15 s is renewed after a third of it. */
const RENEWAL_SECONDS = 5;
/** So many times the workers that the bar is for: one percent is less than a machine's speed wanders. */
const TIMES = 10;
const CLIENTS = 8;

export const heartbeats: Scenario = {
  name: "heartbeats",
  about: "durable updates beside workers that do nothing but renew their leases",
  run: async (bench) => {
    const { keys, few } = bench.sizes;
    const workers = few * TIMES;
    const database = await bench.seededDatabase();
    const library = await bench.openLibrary(database);
    const states = await KnownStates.read(library, keys);
    bench.progress(`${workers} workers claim a task each`);
    await claimAll(library, workers);
    const beat = await beats(bench, { database, workers });
    const postgres = await bench.postgres();
    const alone = (): Promise<number> =>
      bench.load(CALLERS, (caller) => states.update(caller, CALLERS)).then(({ rate }) => rate);
    const { bytes, cpu } = await costOf(postgres, database, beat);
    const rates = await bench.takeTurns({
      alone,
      beside: async () => {
        const beating = beat(CLIENTS);
        const rate = await alone();
        const { rate: beaten } = await beating;
        const wanted = workers / RENEWAL_SECONDS;
        if (beaten < wanted * 0.8) throw new Error(`${beaten} heartbeats a second of ${wanted}`);
        return rate;
      },
    });
    await library.close();
    return [
      {
        name: `durable updates beside heartbeats of ${workers.toLocaleString("en-US")} workers, ${CALLERS} callers`,
        unit: "/s",
        ours: spreadOf(rates.beside),
        against: { name: "without", value: spreadOf(rates.alone) },
        ratio: ratioOf(rates.beside, rates.alone),
        bar: { atLeast: 1 - TIMES / 100 },
        notes: [
          `${workers / RENEWAL_SECONDS} a second, each worker holds a task: 1 % for every ${few.toLocaleString("en-US")}; a heartbeat costs ${cpu}, ${bytes.toFixed(0)} bytes of WAL`,
        ],
      },
    ];
  },
};

async function claimAll(library: Library, workers: number): Promise<void> {
  let next = 1;
  const one = async (): Promise<void> => {
    while (next <= workers) {
      const name = `worker-${next++}`;
      const stack = `of-${name}`;
      await library.tasks.push(stack, {});
      const order = { worker: name, incarnation: "1", stacks: [stack], limit: 1 };
      const claimed = await library.tasks.claim(order);
      if (claimed.length !== 1) throw new Error(`${name} got no task`);
    }
  };
  await Promise.all(Array.from({ length: 64 }, one));
}

/** Heartbeats at the rate at which so many workers send them, by pgbench, for a little longer than a slice. */
async function beats(
  bench: Bench,
  { database, workers }: { readonly database: string; readonly workers: number },
): Promise<Pgbench> {
  const { workshop } = bench;
  const script = readFileSync(join(packageRoot(), "bench", "sql", "heartbeat.pgb"), "utf8");
  return pgbench({
    workshop,
    postgres: await bench.postgres(),
    database,
    script,
    variables: { workers },
    seconds: Math.ceil(bench.seconds * 1.2),
    perSecond: workers / RENEWAL_SECONDS,
  });
}

/** What one heartbeat costs where there is nothing else. */
async function costOf(
  postgres: Postgres,
  database: string,
  beat: Pgbench,
): Promise<{ readonly bytes: number; readonly cpu: string }> {
  const written = async (): Promise<number> => {
    const lsn = `select (pg_current_wal_insert_lsn() - '0/0')::float8 as bytes`;
    return (await postgres.query<{ bytes: number }>(database, lsn))[0]!.bytes;
  };
  await postgres.query(database, "checkpoint");
  await beat(CLIENTS); // full pages are written once after a checkpoint
  const [from, start] = [await written(), performance.now()];
  const parts = { PostgreSQL: () => treeCpuSeconds(postgres.pid) };
  const slice = await withCores(parts, () => beat(CLIENTS));
  const count = (slice.rate * (performance.now() - start)) / 1_000;
  return { bytes: ((await written()) - from) / count, cpu: describeCpu([slice]) };
}
