import { percentile } from "../../src/cli/print/numbers.ts";
import type { Bench, Scenario } from "../bench.ts";
import type { Figure } from "../figure.ts";
import type { Contender } from "../measure/rounds.ts";
import { ratioOf, spreadOf } from "../measure/statistics.ts";
import { makeDocuments, random } from "../parts/documents.ts";
import { idOf, TYPE } from "../parts/keys.ts";
import { seedStates } from "../parts/library.ts";
import type { Library } from "../parts/library.ts";
import { copyOf, multiplyStates } from "../parts/multiply.ts";

/** Versions of each state, a row of history for each. */
const VERSIONS = 10;
/** Small, so that ten million rows of history find room beside everything else. */
const BYTES = 128;
const FILLERS = 64;

const OPERATIONS = {
  get: "get from the database",
  update: "update",
  watch: "watch, from commit to event",
} as const;
type Operation = keyof typeof OPERATIONS;

export const scale: Scenario = {
  name: "scale",
  about: "get, update and watch with few states, and with a thousand times as many",
  run: async (bench) => {
    const { few, many } = bench.sizes;
    const postgres = await bench.postgres();
    const small = await bench.newDatabase();
    await fill(bench, small, few);
    const large = await bench.newDatabase(small);
    bench.progress(`making ${many} states with ${many * VERSIONS} rows of history`);
    await multiplyStates(postgres, large, many / few);

    // The detector would hold what was made by hand.
    const open = (database: string): Promise<Library> =>
      bench.openLibrary({ supabase: { main: postgres.url(database) }, fsck: { sweepMs: 0 } });
    const ofFew = await open(small);
    const ofMany = await open(large);
    const one = contenders(ofFew, bench, () => idOf(1 + random(few)));
    const other = contenders(ofMany, bench, () =>
      copyOf(idOf(1 + random(few)), random(many / few)),
    );
    const operations = Object.keys(OPERATIONS) as Operation[];
    const medians = await bench.takeTurns(
      Object.fromEntries(
        operations.flatMap((operation) => [
          [`${operation} of few`, one[operation]] as const,
          [`${operation} of many`, other[operation]] as const,
        ]),
      ),
    );
    await Promise.all([ofFew.close(), ofMany.close()]);
    await postgres.dropDatabase(large);
    return operations.map((operation): Figure => {
      const [ours, against] = [medians[`${operation} of many`]!, medians[`${operation} of few`]!];
      return {
        name: `${OPERATIONS[operation]}: ${powerOf(many)} states, ${powerOf(many * VERSIONS)} changes`,
        unit: "ms",
        ours: spreadOf(ours),
        against: { name: `${powerOf(few)} states`, value: spreadOf(against) },
        ratio: ratioOf(ours, against),
        bar: { atMost: 1.3 },
      };
    });
  },
};

async function fill(bench: Bench, database: string, states: number): Promise<void> {
  const library = await bench.openLibrary(database);
  await seedStates(library, states, BYTES);
  const documents = makeDocuments(64, BYTES);
  let left = states * (VERSIONS - 1);
  const update = async (): Promise<void> => {
    while (left-- > 0) {
      await library.updateState(idOf(1 + (left % states)), TYPE, documents[left % 64]!);
    }
  };
  await Promise.all(Array.from({ length: FILLERS }, update));
  await library.close();
  await (await bench.postgres()).query(database, "vacuum analyze");
}

/** One caller; each slice is the median of what it waited, in milliseconds. */
function contenders(
  library: Library,
  bench: Bench,
  chooseId: () => string,
): Record<Operation, Contender<number>> {
  const documents = makeDocuments(64, BYTES);
  const update = (id: string): Promise<unknown> =>
    library.updateState(id, TYPE, documents[random(documents.length)]!);
  const p50 = async (call: () => Promise<unknown>): Promise<number> =>
    (await bench.load(1, call)).p50Ms;
  return {
    // A strong read asks the database, whatever is in memory.
    get: () => p50(() => library.getState(chooseId(), { consistency: "strong" })),
    update: () => p50(() => update(chooseId())),
    watch: () => watchFor(library, bench.seconds, () => update(chooseId())),
  };
}

/** The median from the answer of an update to its event. */
async function watchFor(
  library: Library,
  seconds: number,
  update: () => Promise<unknown>,
): Promise<number> {
  const over = new AbortController();
  const events = library.watch({ signal: over.signal })[Symbol.asyncIterator]();
  let next = events.next();
  const waits: number[] = [];
  await update();
  await next; // The watcher is there, and sees what comes.
  const until = performance.now() + seconds * 1_000;
  while (performance.now() < until) {
    let seen = 0;
    next = events.next();
    void next.then(() => (seen = performance.now()));
    await update();
    const committed = performance.now();
    await next;
    waits.push(seen - committed);
  }
  over.abort();
  await events.return?.();
  return percentile(Float64Array.from(waits).toSorted(), 0.5);
}

function powerOf(count: number): string {
  return `10^${Math.round(Math.log10(count))}`;
}
