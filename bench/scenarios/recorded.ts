import type { Bench, Scenario } from "../bench.ts";
import type { Figure } from "../figure.ts";
import { spreadOf } from "../measure/statistics.ts";
import type { Library } from "../parts/library.ts";
import { recordedConversations } from "../parts/recorded-runs.ts";
import type { JsonObject } from "../../src/state/json.ts";

const AT_ONCE = 64;
const TYPE = "conversation";
const MIB = 2 ** 20;

/** How the next message of a conversation is written. */
type Say = (library: Library, id: string, messages: readonly JsonObject[]) => Promise<unknown>;

const appending: Say = (library, id, messages) =>
  library.appendState(id, "/messages", [messages.at(-1)!]);
const replacing: Say = (library, id, messages) => library.updateState(id, TYPE, { messages });

export const recorded: Scenario = {
  name: "recorded",
  about: "recorded runs as growing conversations: bytes on disk against the final JSON",
  run: async (bench) => {
    const { conversations } = bench.sizes;
    return [
      await figureOf(bench, { how: "appended", say: appending, count: conversations }),
      // Each turn costs the whole document on its way to the database, so fewer of them.
      await figureOf(bench, { how: "replaced whole", say: replacing, count: conversations / 4 }),
    ];
  },
};

interface Replay {
  readonly how: string;
  readonly say: Say;
  readonly count: number;
}

async function figureOf(bench: Bench, { how, say, count }: Replay): Promise<Figure> {
  const all = recordedConversations();
  const conversations = Math.ceil(count);
  const database = await bench.newDatabase();
  const library = await bench.openLibrary(database);
  bench.progress(`${conversations} conversations, each message ${how}`);
  const from = performance.now();
  let next = 0;
  let turns = 0;
  let finalBytes = 0;
  const play = async (): Promise<void> => {
    while (next < conversations) {
      bench.workshop.signal.throwIfAborted();
      const number = next++;
      const messages = all[number % all.length]!;
      const id = `conversation-${number}`;
      await library.updateState(id, TYPE, { messages: [] });
      for (let turn = 1; turn <= messages.length; turn++)
        await say(library, id, messages.slice(0, turn));
      turns += messages.length;
      const bytes = await checkedBytes(library, id, messages);
      finalBytes += bytes; // Not in one statement: others add to it while this one waits.
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, play));
  const seconds = (performance.now() - from) / 1_000;
  await library.close();
  await (await bench.postgres()).query(database, "vacuum");
  const full = await sizeOf(bench, database);
  return {
    name: `recorded runs, ${how}: state + history on disk`,
    unit: "MB",
    ours: spreadOf([sum(full) / 1e6]),
    against: { name: "final JSON", value: spreadOf([finalBytes / 1e6]) },
    ratio: spreadOf([sum(full) / finalBytes]),
    bar: { atMost: 3 },
    notes: [
      `${conversations} conversations of ${all.length} runs, ${turns} turns, ${Math.round(turns / seconds)} turns/s; heap ${mib(full.heap)}, toast ${mib(full.toast)}, indexes ${mib(full.indexes)}`,
    ],
  };
}

/** The bytes of a conversation's final JSON; throws where the database holds another one. */
async function checkedBytes(
  library: Library,
  id: string,
  messages: readonly JsonObject[],
): Promise<number> {
  const { data } = await library.getState(id, { consistency: "strong" });
  const text = JSON.stringify({ messages });
  if (JSON.stringify(data) !== text) throw new Error(`${id} is not what was written to it`);
  return Buffer.byteLength(text);
}

interface Sizes {
  readonly heap: number;
  readonly toast: number;
  readonly indexes: number;
}

async function sizeOf(bench: Bench, database: string): Promise<Sizes> {
  const postgres = await bench.postgres();
  const [row] = await postgres.query<Record<keyof Sizes, string>>(
    database,
    `select sum(pg_table_size(c.oid) - coalesce(pg_total_relation_size(nullif(c.reltoastrelid, 0)), 0)) as heap,
            sum(coalesce(pg_total_relation_size(nullif(c.reltoastrelid, 0)), 0)) as toast,
            sum(pg_indexes_size(c.oid)) as indexes
       from pg_class c
      where c.oid in ('agent_state.scopes'::regclass, 'agent_state.states'::regclass, 'agent_state.changes'::regclass)`,
  );
  return { heap: Number(row!.heap), toast: Number(row!.toast), indexes: Number(row!.indexes) };
}

function sum({ heap, toast, indexes }: Sizes): number {
  return heap + toast + indexes;
}

function mib(bytes: number): string {
  return `${(bytes / MIB).toFixed(1)} MiB`;
}
