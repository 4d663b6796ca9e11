import type { Scenario } from "../bench.ts";
import { ratioOf, spreadOf } from "../measure/statistics.ts";
import { makeDocuments, random } from "../parts/documents.ts";
import { TYPE } from "../parts/keys.ts";
import type { Library } from "../parts/library.ts";

const CALLERS = 512;
const CLIENTS = 64;

export const hot: Scenario = {
  name: "hot",
  about: "one hot scope and one hot state, against pgbench on one hot row",
  run: async (bench) => {
    const plain = await bench.plainTables();
    const onOneRow = await plain.pgbench(1);
    const library = await bench.openLibrary(await bench.seededDatabase());
    try {
      const scope = await hotStates(library, "hot", 10);
      const state = await hotStates(library, "alone", 1);
      const slices = await bench.takeTurns({
        "one scope": () => bench.load(CALLERS, scope.update),
        "one state": () => bench.load(CALLERS, state.update),
        pgbench: () => onOneRow(CLIENTS),
      });
      for (const { check } of [scope, state]) await check();
      const rowRates = slices.pgbench.map(({ rate }) => rate);
      return (["one scope", "one state"] as const).map((which) => {
        const rates = slices[which].map(({ rate }) => rate);
        return {
          name: `${which === "one scope" ? "one hot scope of 10 states" : "one hot state"}, ${CALLERS} callers`,
          unit: "/s",
          ours: spreadOf(rates),
          against: { name: `pgbench, one hot row, ${CLIENTS} clients`, value: spreadOf(rowRates) },
          ratio: ratioOf(rates, rowRates),
          bar: { atLeast: 20 },
        } as const;
      });
    } finally {
      await library.close();
    }
  },
};

interface HotStates {
  /** Updates any of them, whatever its version. */
  readonly update: () => Promise<void>;
  /** Throws where an update was lost, or its step. */
  readonly check: () => Promise<void>;
}

async function hotStates(library: Library, scope: string, count: number): Promise<HotStates> {
  const documents = makeDocuments();
  let updates = 0;
  const update = async (key: number): Promise<void> => {
    const document = documents[random(documents.length)]!;
    await library.updateState(`${scope}-${key}`, TYPE, document, { scope });
    updates++;
  };
  for (let key = 0; key < count; key++) await update(key);
  return {
    update: () => update(random(count)),
    check: async () => {
      const { step } = await library.scope(scope);
      if (step !== BigInt(updates)) throw new Error(`${updates} updates made ${step} steps`);
    },
  };
}
