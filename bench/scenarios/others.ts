import type { Bench, Scenario } from "../bench.ts";
import type { Figure } from "../figure.ts";
import { percentile } from "../../src/cli/print/numbers.ts";
import { ratioOf, spreadOf } from "../measure/statistics.ts";
import { makeDocuments } from "../parts/documents.ts";
import { idOf, TYPE } from "../parts/keys.ts";
import type { Library } from "../parts/library.ts";

/** Looks a second of who waits until it is told. */
const POLL_MS = 200;

/** Two libraries as two services have them: what one commits, a watcher of the other hears of. */
export const others: Scenario = {
  name: "others",
  about: "from a commit to a watcher in another process: told, against looking from time to time",
  run: async (bench) => {
    const database = await bench.seededDatabase();
    const writer = await bench.openLibrary(database);
    const watcher = await bench.openLibrary(database);
    const own = await bench.openLibrary(database);
    try {
      const slices = await bench.takeTurns({
        told: () => watchFrom(bench, writer, watcher),
        own: () => watchFrom(bench, own, own),
      });
      return [figure("p50", slices, 0.5), figure("p99", slices, 0.99)];
    } finally {
      await Promise.all([writer.close(), watcher.close(), own.close()]);
    }
  },
};

function figure(
  name: string,
  slices: Readonly<Record<"told" | "own", readonly Float64Array[]>>,
  part: number,
): Figure {
  const ours = slices.told.map((waits) => percentile(waits, part));
  const against = slices.own.map((waits) => percentile(waits, part));
  return {
    name: `from a commit to a watcher of another process, ${name}`,
    unit: "ms",
    ours: spreadOf(ours),
    against: { name: "a watcher of the same process", value: spreadOf(against) },
    ratio: ratioOf(ours, against),
    bar: null,
    notes: [`who is not told, as behind a transaction pooler, looks every ${POLL_MS} ms`],
  };
}

/** What passed from each answer of an update to its event, in milliseconds, sorted. */
async function watchFrom(bench: Bench, writer: Library, watcher: Library): Promise<Float64Array> {
  const documents = makeDocuments(64, 1_024);
  const after = await watcher.feedHead();
  const over = new AbortController();
  const events = watcher.watch({ after, signal: over.signal })[Symbol.asyncIterator]();
  const waits: number[] = [];
  const until = performance.now() + bench.seconds * 1_000;
  for (let n = 0; performance.now() < until; n++) {
    let seen = 0;
    const next = events.next().then(() => (seen = performance.now()));
    await writer.updateState(idOf(1 + (n % 100)), TYPE, documents[n % 64]!);
    const committed = performance.now();
    await next;
    waits.push(Math.max(0, seen - committed));
  }
  over.abort();
  await events.return?.();
  return Float64Array.from(waits).toSorted();
}
