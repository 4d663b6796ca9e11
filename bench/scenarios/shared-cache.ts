import { setTimeout as sleep } from "node:timers/promises";
import { createClient } from "@redis/client";
import { startRedis } from "../../dev/services/redis.ts";
import type { Redis } from "../../dev/services/redis.ts";
import { findParts } from "../../dev/services/tools.ts";
import type { Bench, Scenario } from "../bench.ts";
import type { Figure } from "../figure.ts";
import type { Slice } from "../measure/load.ts";
import { describeCpu, ownCpuSeconds, withCores } from "../measure/processes.ts";
import { ratioOf, spreadOf } from "../measure/statistics.ts";
import { idOf } from "../parts/keys.ts";
import { KnownStates, seedStates } from "../parts/library.ts";
import type { Library } from "../parts/library.ts";
import { zipf } from "../parts/zipf.ts";

const READERS = 64;
const WRITERS = 512;
/** Somewhat longer than the bare client gives a command, where nothing else is said. */
const BARE_TIMEOUT_MS = 5_200;
/** Every so many calls of the mix are a write. */
const WRITE_EVERY = 20;
/** Calls for each state before the mix is measured. */
const WARM_UP = 2;

type Bare = ReturnType<typeof createClient>;

export const sharedCache: Scenario = {
  name: "shared-cache",
  about: "a cache that services share: its hits, its hit rate, and what it costs updates",
  run: async (bench) => {
    const { redis: binary } = findParts();
    if (binary.missing !== undefined) throw new Error(`missing: ${binary.missing}`);
    const redis = await startRedis({
      binary,
      folder: bench.workshop.newFolder("redis"),
      settings: ["maxmemory 4gb"],
    });
    bench.workshop.atEnd(() => redis.stop());
    return [
      ...(await hits(bench, redis)),
      ...(await cost(bench, redis)),
      ...(await mix(bench, redis)),
    ];
  },
};

/** The client by itself. */
async function openBare(
  bench: Bench,
  redis: Redis,
  options: Parameters<typeof createClient>[0] = {},
): Promise<Bare> {
  const address = { url: redis.address.adminUrl, maintNotifications: "disabled" } as const;
  const client: unknown = createClient({ ...address, ...options });
  const bare = client as Bare; // its type names all options that were given
  await bare.connect();
  bench.workshop.atEnd(() => Promise.resolve(bare.destroy()));
  return bare;
}

async function hits(bench: Bench, redis: Redis): Promise<Figure[]> {
  const { keys } = bench.sizes;
  const postgres = await bench.postgres();
  const main = postgres.url(await bench.seededDatabase());
  // Nothing stays in the process: each read asks the cache.
  const dragonfly = { url: redis.address.url, timeoutMs: 1_000 };
  const library = await bench.openLibrary({ supabase: { main }, cache: { entries: 0 }, dragonfly });
  const client = await openBare(bench, redis);
  const untimed = await openBare(bench, redis, { commandOptions: { timeout: 0 } });
  try {
    bench.progress("leaving all states in the cache");
    const text = JSON.stringify((await library.getState(idOf(1))).data);
    await inTurns(keys, READERS, (n) => untimed.set(`bare:${n}`, text));
    await inTurns(keys, READERS, (n) => library.getState(idOf(n)));
    await inTurns(keys, READERS, (n) => library.getState(idOf(n)));
    const before = library.sharedCache!;
    const any = (): number => 1 + Math.floor(Math.random() * keys);
    const slice = (call: () => Promise<unknown>): Promise<Slice> =>
      withCores({ Node: () => ownCpuSeconds(process.pid) }, () => bench.load(READERS, call));
    /**
     * The client sets a timer for each command and leaves it running when the answer is there: they go off, and cost
     * as much again, in whatever would be measured next.
     */
    const timed = async (call: () => Promise<unknown>): Promise<Slice> => {
      const measured = await slice(call);
      await sleep(BARE_TIMEOUT_MS, undefined, { signal: bench.workshop.signal });
      return measured;
    };
    const slices = await bench.takeTurns({
      bare: () => timed(() => client.get(`bare:${any()}`)),
      parsed: () => timed(async () => JSON.parse((await client.get(`bare:${any()}`))!) as unknown),
      untimed: () => slice(() => untimed.get(`bare:${any()}`)),
      ours: () => slice(() => library.getState(idOf(any()))),
    });
    const after = library.sharedCache!;
    const asked =
      after.hits + after.misses + after.stale - before.hits - before.misses - before.stale;
    return hitFigures(slices, (100 * (after.hits - before.hits)) / asked);
  } finally {
    await library.close();
  }
}

function hitFigures(
  slices: Readonly<Record<"bare" | "parsed" | "untimed" | "ours", readonly Slice[]>>,
  percentHits: number,
): Figure[] {
  const name = `reads by id from the shared cache, ${READERS} callers`;
  const against = (which: "bare" | "parsed" | "untimed", what: string): Omit<Figure, "name"> => ({
    unit: "/s",
    ours: spreadOf(ratesOf(slices.ours)),
    against: { name: what, value: spreadOf(ratesOf(slices[which])) },
    ratio: ratioOf(ratesOf(slices.ours), ratesOf(slices[which])),
    bar: null,
  });
  const cpu = (["ours", "bare", "parsed", "untimed"] as const).map(
    (which) => `${which} ${describeCpu(slices[which])}`,
  );
  return [
    { name: `${name}; against what also parses`, ...against("parsed", "GET and JSON.parse") },
    {
      name: `${name}; against no time-out`,
      ...against("untimed", "GET of a client that waits for ever"),
    },
    {
      name,
      ...against("bare", "the bare client's GET"),
      bar: { atLeast: 0.85 },
      notes: [
        `1 KB each; ${percentHits.toFixed(1)} % were hits; ours judge each entry, and parse and freeze its document`,
        `CPU a read: ${cpu.join(", ")}`,
      ],
    },
  ];
}

async function cost(bench: Bench, redis: Redis): Promise<Figure[]> {
  const postgres = await bench.postgres();
  const dragonfly = { url: redis.address.url, prefix: "cost:" };
  const without = await bench.openLibrary({
    supabase: { main: postgres.url(await bench.seededDatabase()) },
  });
  const beside = await bench.openLibrary({
    supabase: { main: postgres.url(await bench.seededDatabase()) },
    dragonfly,
  });
  try {
    const load = async (library: Library): Promise<() => Promise<Slice>> => {
      const states = await KnownStates.read(library, bench.sizes.keys);
      return () => bench.load(WRITERS, (caller) => states.update(caller, WRITERS));
    };
    const slices = await bench.takeTurns({
      without: await load(without),
      beside: await load(beside),
    });
    return [
      {
        name: `durable updates beside the shared cache, ${WRITERS} callers`,
        unit: "/s",
        ours: spreadOf(ratesOf(slices.beside)),
        against: { name: "without", value: spreadOf(ratesOf(slices.without)) },
        ratio: ratioOf(ratesOf(slices.beside), ratesOf(slices.without)),
        bar: { atLeast: 0.7 },
      },
    ];
  } finally {
    await beside.close();
    await without.close();
  }
}

async function mix(bench: Bench, redis: Redis): Promise<Figure[]> {
  const { many } = bench.sizes;
  const postgres = await bench.postgres();
  const library = await bench.openLibrary({
    supabase: { main: postgres.url(await bench.newDatabase()) },
    dragonfly: { url: redis.address.url, prefix: "mix:", timeoutMs: 1_000 },
  });
  try {
    bench.progress(`creating ${many} states`);
    await seedStates(library, many);
    const next = zipf(many);
    const counts = { l1: 0, dragonfly: 0, readonly: 0, main: 0 };
    let calls = 0;
    const call = async (): Promise<void> => {
      const id = idOf(next());
      if (++calls % WRITE_EVERY === 0) {
        await library.mergeState(id, { touched: calls });
        return;
      }
      counts[(await library.readState(id, {})).servedBy]++;
    };
    // The last of a million are asked for once in millions of calls: each is read once, then as it comes.
    bench.progress("warming up");
    await inTurns(many, READERS, (n) => library.getState(idOf(n)));
    await inTurns(WARM_UP * many, READERS, call);
    const shares: number[] = [];
    const { mixed } = await bench.takeTurns({
      mixed: async () => {
        Object.assign(counts, { l1: 0, dragonfly: 0, readonly: 0, main: 0 });
        const slice = await bench.load(READERS, call);
        const { l1, dragonfly, readonly, main } = counts;
        shares.push((100 * (l1 + dragonfly)) / (l1 + dragonfly + readonly + main));
        return slice;
      },
    });
    const { l1, dragonfly, main } = counts;
    const all = (l1 + dragonfly + main) / 100;
    return [
      {
        name: `reads that the caches answer, ${many.toLocaleString("en-US")} states, Zipf, 5 % writes`,
        unit: "%",
        ours: spreadOf(shares),
        bar: { atLeast: 90 },
        notes: [
          `the last round: memory ${(l1 / all).toFixed(1)} %, shared ${(dragonfly / all).toFixed(1)} %, main ${(main / all).toFixed(1)} %; ` +
            `${Math.round(spreadOf(ratesOf(mixed)).median).toLocaleString("en-US")} calls/s`,
        ],
      },
    ];
  } finally {
    await library.close();
  }
}

/** Calls 1 to `count`, so many at a time. */
async function inTurns(
  count: number,
  atOnce: number,
  call: (n: number) => Promise<unknown>,
): Promise<void> {
  let next = 1;
  const work = async (): Promise<void> => {
    while (next <= count) await call(next++);
  };
  await Promise.all(Array.from({ length: atOnce }, work));
}

function ratesOf(slices: readonly Slice[]): number[] {
  return slices.map(({ rate }) => rate);
}
