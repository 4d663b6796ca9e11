import { findParts } from "../../dev/services/tools.ts";
import { startRedis } from "../../dev/services/redis.ts";
import type { Bench, Scenario } from "../bench.ts";
import type { Figure } from "../figure.ts";
import { bestOf, ratioOf, spreadOf } from "../measure/statistics.ts";
import { Peers } from "../parts/peers.ts";
import type { Peer } from "../parts/peers.ts";
import { drainRate, pushTasks } from "../parts/task-load.ts";

const CONCURRENCY = 512;
const QUEUES = ["graphile-worker", "pg-boss", "bullmq"] as const satisfies readonly Peer[];
const OTHERS = ["dbos", "langgraph"] as const satisfies readonly Peer[];
const NAMES: Readonly<Record<Peer, { readonly name: string; readonly dependency: string }>> = {
  "graphile-worker": { name: "graphile-worker, local queue", dependency: "graphile-worker" },
  "pg-boss": { name: "pg-boss, batches of 100", dependency: "pg-boss" },
  bullmq: { name: "BullMQ, lifo, appendfsync always", dependency: "bullmq" },
  dbos: { name: "DBOS workflows of one step", dependency: "@dbos-inc/dbos-sdk" },
  langgraph: {
    name: "LangGraph's PostgreSQL saver, put",
    dependency: "@langchain/langgraph-checkpoint-postgres",
  },
};

export const peers: Scenario = {
  name: "peers",
  about: "tasks a second against others' queues; installs those with npm, only when named",
  isOnlyNamed: true,
  run: async (bench) => {
    const installed = await Peers.install(bench);
    const rates = await contest(bench, installed);
    const queues = QUEUES.map((peer) => rates[peer]);
    const version = (peer: Peer): string =>
      `${NAMES[peer].name} (${installed.versions[NAMES[peer].dependency]})`;
    const against = (name: string, values: readonly number[], bar: Figure["bar"]): Figure => ({
      name: "tasks claimed and completed, 1,000 stacks",
      unit: "/s",
      ours: spreadOf(rates.ours),
      against: { name, value: spreadOf(values) },
      ratio: ratioOf(rates.ours, values),
      bar,
    });
    return [
      against("the best queue of each round", bestOf(queues), { atLeast: 1 }),
      ...QUEUES.map((peer) => against(version(peer), rates[peer], null)),
      against(version("dbos"), rates.dbos, { atLeast: 20 }),
      against(version("langgraph"), rates.langgraph, { atLeast: 5 }),
    ];
  },
};

/** Each does the same number of tasks that do nothing, or its calls for as long; in turns. */
async function contest(
  bench: Bench,
  installed: Peers,
): Promise<Record<Peer | "ours", readonly number[]>> {
  const { stacks } = bench.sizes;
  const { seconds } = bench;
  const count = Math.max(1_000, bench.sizes.tasks);
  const { redis: binary } = findParts();
  if (binary.missing !== undefined) throw new Error(`missing: ${binary.missing}`);
  const postgres = await bench.postgres();
  const folder = bench.workshop.newFolder("peers-redis");
  const settings = ["appendonly yes", "appendfsync always", "maxmemory-policy noeviction"];
  const redis = await startRedis({ binary, folder, settings });
  bench.workshop.atEnd(() => redis.stop());
  const library = await bench.openLibrary(await bench.newDatabase());
  const contender = async (peer: Peer): Promise<[Peer, () => Promise<number>]> => {
    const url = postgres.url(await bench.newDatabase());
    const order = { url, redis: redis.address.adminUrl, count, seconds };
    return [peer, () => installed.rate(peer, order)];
  };
  const others = await Promise.all([...QUEUES, ...OTHERS].map(contender));
  let round = 0;
  const results = await bench.takeTurns({
    ours: async () => {
      await pushTasks(library, { count, stacks, prefix: `peers${++round}` });
      return await drainRate(library, { count, concurrency: CONCURRENCY });
    },
    ...(Object.fromEntries(others) as Record<Peer, () => Promise<number>>),
  });
  await library.close();
  return results;
}
