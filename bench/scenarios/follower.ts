import { setTimeout as sleep } from "node:timers/promises";
import { percentile } from "../../src/cli/print/numbers.ts";
import type { Bench, Scenario } from "../bench.ts";
import type { Figure } from "../figure.ts";
import type { Slice } from "../measure/load.ts";
import { ratioOf, spreadOf } from "../measure/statistics.ts";
import { Copies } from "../parts/copies.ts";
import { makeDocuments, random } from "../parts/documents.ts";
import { idOf, TYPE } from "../parts/keys.ts";
import { KnownStates } from "../parts/library.ts";
import type { Library } from "../parts/library.ts";

const CALLERS = 512;
/** Updates a second at which the lag is measured. */
const RATE = 2_000;
const TICK_MS = 5;
/** Between two writes whose way to the copy is timed. */
const PROBE_MS = 20;
const PROBE = "probe";

export const follower: Scenario = {
  name: "follower",
  about: "updates a second beside the rollback follower, against without it; how far it lags",
  run: async (bench) => {
    const without = await bench.openLibrary(await bench.seededDatabase());
    const copies = await Copies.start(bench);
    bench.progress("copying what was there before");
    const from = performance.now();
    const library = await copies.openLibrary(bench, await bench.seededDatabase());
    const copiedMs = performance.now() - from;
    const { keys } = bench.sizes;
    const [alone, followed] = [
      await KnownStates.read(without, keys),
      await KnownStates.read(library, keys),
    ];
    const shares: number[] = [];
    const slices = await bench.takeTurns({
      without: () => bench.load(CALLERS, (caller) => alone.update(caller, CALLERS)),
      followed: async () => {
        const before = await copies.steps();
        const slice = await bench.load(CALLERS, (caller) => followed.update(caller, CALLERS));
        const during = (await copies.steps()) - before;
        await copies.settled(); // so that the other one is not disturbed by what is left
        shares.push((100 * during) / ((await copies.steps()) - before));
        return slice;
      },
    });
    const lags = await lagsAt(bench, { library, copies });
    await Promise.all([library.close(), without.close()]);
    const copied = `${keys} states that were there before were copied in ${(copiedMs / 1_000).toFixed(1)} s`;
    return [throughput(slices, shares, copied), ...lagFigures(lags)];
  },
};

interface Paced {
  readonly library: Library;
  readonly copies: Copies;
}

/** What one round saw. */
interface Lags {
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly rate: number;
}

async function lagsAt(bench: Bench, paced: Paced): Promise<readonly Lags[]> {
  const { lag } = await bench.takeTurns({ lag: () => lagOnce(bench, paced) });
  return lag;
}

/** From the answer to a write until the copy has its step, again and again, while others write at the rate. */
async function lagOnce(bench: Bench, { library, copies }: Paced): Promise<Lags> {
  const over = new AbortController();
  const documents = makeDocuments();
  let done = 0;
  const pace = async (): Promise<void> => {
    const from = performance.now();
    const all: Promise<void>[] = [];
    for (let sent = 0; !over.signal.aborted; await sleep(TICK_MS)) {
      const due = ((performance.now() - from) / 1_000) * RATE;
      for (; sent < due; sent++) {
        const document = documents[sent % documents.length]!;
        const update = library.updateState(idOf(1 + random(bench.sizes.keys)), TYPE, document);
        all.push(update.then(() => void done++));
      }
    }
    await Promise.all(all);
  };
  const others = pace();
  const lags: number[] = [];
  const from = performance.now();
  let seconds = 0;
  try {
    while (seconds < bench.seconds || lags.length === 0) {
      const { step } = await library.updateState(PROBE, "note", { at: performance.now() });
      const toldAt = performance.now();
      await copies.holds(PROBE, step);
      lags.push(performance.now() - toldAt);
      await sleep(PROBE_MS, undefined, { signal: bench.workshop.signal });
      seconds = (performance.now() - from) / 1_000;
    }
  } finally {
    over.abort();
    await others;
  }
  const sorted = Float64Array.from(lags).toSorted();
  return {
    p50Ms: percentile(sorted, 0.5),
    p99Ms: percentile(sorted, 0.99),
    rate: done / ((performance.now() - from) / 1_000),
  };
}

function throughput(
  slices: Record<"followed" | "without", readonly Slice[]>,
  shares: readonly number[],
  copied: string,
): Figure {
  const [ours, alone] = [slices.followed, slices.without].map((each) =>
    each.map(({ rate }) => rate),
  );
  return {
    name: `durable updates with the rollback follower, ${CALLERS} callers`,
    unit: "/s",
    ours: spreadOf(ours!),
    against: { name: "without a rollback database", value: spreadOf(alone!) },
    ratio: ratioOf(ours!, alone!),
    bar: { atLeast: 0.85 },
    notes: [
      `${Math.round(spreadOf(shares).median)} % of the changes were followed while they were written, the rest after`,
      copied,
    ],
  };
}

function lagFigures(lags: readonly Lags[]): Figure[] {
  const rate = Math.round(spreadOf(lags.map((each) => each.rate)).median);
  const figure = (what: string, values: readonly number[], atMost: number): Figure => ({
    name: `rollback lag at ${RATE} updates/s, ${what}`,
    unit: "ms",
    ours: spreadOf(values),
    bar: { atMost },
    notes: [
      `from a write's answer until its step is in the rollback database; ${rate} updates/s were made`,
    ],
  });
  return [
    figure(
      "p50",
      lags.map(({ p50Ms }) => p50Ms),
      50,
    ),
    figure(
      "p99",
      lags.map(({ p99Ms }) => p99Ms),
      250,
    ),
  ];
}
