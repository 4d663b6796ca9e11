import { percentile } from "../../src/cli/print/numbers.ts";
import type { Bench, Scenario } from "../bench.ts";
import { ratioOf, spreadOf } from "../measure/statistics.ts";
import type { Library } from "../parts/library.ts";
import { multiplyStates } from "../parts/multiply.ts";
import { drainRate, pushTasks } from "../parts/task-load.ts";

/** Tasks that ended, for each that waits. */
const ENDED = 10;
/** Tasks that wait in each stack. */
const DEPTH = 10;
const prefix = "scale";

export const taskScale: Scenario = {
  name: "task-scale",
  about: "how long a claim takes with few tasks, and with a thousand times as many",
  run: async (bench) => {
    const { few, many } = bench.sizes;
    const postgres = await bench.postgres();
    const small = await bench.newDatabase();
    await fill(bench, small, few);
    const large = await bench.newDatabase(small);
    bench.progress(`making ${many} tasks that wait and ${many * ENDED} that ended`);
    await multiplyStates(postgres, large, many / few);
    // The detector would hold what was made by hand.
    const open = (database: string): Promise<Library> =>
      bench.openLibrary({ supabase: { main: postgres.url(database) }, fsck: { sweepMs: 0 } });
    const ofFew = await open(small);
    const ofMany = await open(large);
    const taken = await bench.takeTurns({
      "claim of few": () => claimFor(ofFew, bench.seconds),
      "claim of many": () => claimFor(ofMany, bench.seconds),
    });
    await Promise.all([ofFew.close(), ofMany.close()]);
    await postgres.dropDatabase(large);
    const [ours, against] = [taken["claim of many"], taken["claim of few"]];
    return [
      {
        name: `claim: ${many.toLocaleString("en-US")} tasks wait, ${(many * ENDED).toLocaleString("en-US")} ended`,
        unit: "ms",
        ours: spreadOf(ours),
        against: { name: `${few.toLocaleString("en-US")} wait`, value: spreadOf(against) },
        ratio: ratioOf(ours, against),
        bar: { atMost: 1.3 },
      },
    ];
  },
};

/** All as the library writes it: what is multiplied after has its history, too. */
async function fill(bench: Bench, database: string, waiting: number): Promise<void> {
  const library = await bench.openLibrary(database);
  const stacks = waiting / DEPTH;
  const ended = waiting * ENDED;
  await pushTasks(library, { count: ended, stacks, prefix });
  await drainRate(library, { count: ended, concurrency: 256 });
  await pushTasks(library, { count: waiting, stacks, prefix });
  await library.close();
  await (await bench.postgres()).query(database, "vacuum analyze");
}

/** The median of claims from any stack, in milliseconds; what is claimed ends, and another comes in its place. */
async function claimFor(library: Library, seconds: number): Promise<number> {
  const waits: number[] = [];
  const until = performance.now() + seconds * 1_000;
  while (performance.now() < until) {
    const from = performance.now();
    const [task] = await library.tasks.claim({ worker: "bench", incarnation: "1", limit: 1 });
    waits.push(performance.now() - from);
    if (task === undefined) throw new Error("there was nothing to claim");
    await library.tasks.complete(task.id, { epoch: task.epoch, result: null });
    await library.tasks.push(task.stack, {});
  }
  return percentile(Float64Array.from(waits).toSorted(), 0.5);
}
