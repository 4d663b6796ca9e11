import type { Scenario } from "../bench.ts";
import type { JsonObject } from "../../src/state/json.ts";
import { ratioOf, spreadOf } from "../measure/statistics.ts";
import { random } from "../parts/documents.ts";
import type { Library } from "../parts/library.ts";

const WINDOW = 100;
const PAGE = 1_000;
/** One conversation a round, each with messages of another size: full copies fall on other turns. */
const MESSAGE_BYTES = [200, 260, 320, 380, 440];

export const turns: Scenario = {
  name: "turns",
  about: "what a late turn of a long conversation costs on disk, against an early one",
  run: async (bench) => {
    const { sizes } = bench;
    const library = await bench.openLibrary(await bench.newDatabase());
    let round = 0;
    const { talk } = await bench.takeTurns({
      talk: async () => {
        const id = `long-${round}`;
        const bytes = MESSAGE_BYTES[round++ % MESSAGE_BYTES.length]!;
        await converse(library, { id, bytes, turns: sizes.turns });
        return storedBytes(library, id);
      },
    });
    await library.close();
    const late = talk.map((stored) => mean(stored.slice(sizes.turns - WINDOW, sizes.turns)));
    const early = talk.map((stored) => mean(stored.slice(WINDOW, 2 * WINDOW)));
    const all = spreadOf(talk.map((stored) => mean(stored))).median;
    return [
      {
        name: `bytes per turn, turns ${sizes.turns - WINDOW}-${sizes.turns}`,
        unit: "B",
        ours: spreadOf(late),
        against: { name: `turns ${WINDOW}-${2 * WINDOW}`, value: spreadOf(early) },
        ratio: ratioOf(late, early),
        bar: { atMost: 1.2 },
        notes: [
          `each round has messages of another size, ${MESSAGE_BYTES[0]} to ${MESSAGE_BYTES.at(-1)} bytes; over all turns ${all.toFixed(0)} B a turn, full copies included`,
        ],
      },
    ];
  },
};

async function converse(
  library: Library,
  talk: { readonly id: string; readonly bytes: number; readonly turns: number },
): Promise<void> {
  await library.updateState(talk.id, "conversation", { messages: [] });
  for (let turn = 0; turn < talk.turns; turn++) {
    await library.appendState(talk.id, "/messages", [message(turn, talk.bytes)]);
  }
}

function message(turn: number, bytes: number): JsonObject {
  const content = Array.from({ length: bytes - 36 }, () => String.fromCharCode(97 + random(26)));
  return { role: turn % 2 === 0 ? "user" : "assistant", content: content.join("") };
}

/** What each turn costs in history, oldest first. */
async function storedBytes(library: Library, id: string): Promise<number[]> {
  const newestFirst: number[] = [];
  let before: bigint | undefined;
  for (;;) {
    const { items, next } = await library.history(id, {
      limit: PAGE,
      ...(before === undefined ? {} : { before }),
    });
    newestFirst.push(...items.map((entry) => entry.storedBytes));
    if (next === undefined) break;
    before = BigInt(next);
  }
  return newestFirst.toReversed().slice(1); // The first version is the empty conversation.
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
