import type { Scenario } from "../bench.ts";
import type { Figure } from "../figure.ts";
import { spreadOf } from "../measure/statistics.ts";
import { Copies } from "../parts/copies.ts";
import { makeDocuments } from "../parts/documents.ts";
import type { Library } from "../parts/library.ts";

/** States that the undone step changed, and the milliseconds that going back may take. */
const SIZES = [
  { states: 1, atMost: 20 },
  { states: 100, atMost: 60 },
  { states: 1_000, atMost: 400 },
] as const;
const TIMES_A_ROUND = 3;

export const rollback: Scenario = {
  name: "rollback",
  about: "going one step back from the rollback database, with 1, 100 and 1,000 states in the step",
  run: async (bench) => {
    const copies = await Copies.start(bench);
    const library = await copies.openLibrary(bench, await bench.newDatabase());
    const documents = makeDocuments();
    const goBack = async (states: number): Promise<number> => {
      const scope = `of-${states}`;
      const changes = Array.from({ length: states }, (_, n) => ({
        op: "update" as const,
        id: `${scope}-${n}`,
        type: "note",
        data: documents[Math.floor(Math.random() * documents.length)]!,
      }));
      const commit = await library.commit({ scope, changes });
      if (commit.step === 1n) return await goBack(states); // before it there is nothing
      await copies.holds(scope, commit.step);
      return await timed(library, scope, states);
    };
    const names = SIZES.map(({ states }) => states);
    const results = await bench.takeTurns(
      Object.fromEntries(names.map((states) => [`${states} states`, () => some(goBack, states)])),
    );
    await library.close();
    return SIZES.map(({ states, atMost }) =>
      figureOf(states, atMost, results[`${states} states`]!),
    );
  },
};

/** The median of some. */
async function some(goBack: (states: number) => Promise<number>, states: number): Promise<number> {
  const times: number[] = [];
  while (times.length < TIMES_A_ROUND) times.push(await goBack(states));
  return spreadOf(times).median;
}

async function timed(library: Library, scope: string, states: number): Promise<number> {
  const from = performance.now();
  const { source, states: restored } = await library.rollback(scope);
  const tookMs = performance.now() - from;
  if (source !== "rollback") throw new Error(`${scope} was taken from ${source}`);
  if (restored.length !== states) throw new Error(`${restored.length} of ${states} went back`);
  return tookMs;
}

function figureOf(states: number, atMost: number, rounds: readonly number[]): Figure {
  return {
    name: `rollback of a step with ${states} ${states === 1 ? "state" : "states"} of 1 KB`,
    unit: "ms",
    ours: spreadOf(rounds),
    bar: { atMost },
    notes: ["planned, proven by the digests of the rollback database, and committed"],
  };
}
