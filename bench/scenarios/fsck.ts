import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import type { Bench, Scenario } from "../bench.ts";
import type { Figure } from "../figure.ts";
import type { Slice } from "../measure/load.ts";
import { ratioOf, spreadOf } from "../measure/statistics.ts";
import { idOf } from "../parts/keys.ts";
import type { JsonObject } from "../../src/state/json.ts";
import { KnownStates } from "../parts/library.ts";
import type { Library } from "../parts/library.ts";

const CALLERS = 512;
const MAIN_CHECKS = ["C1", "C2", "C3", "C4", "C14", "C20"] as const;
/** Rows that are changed by hand, one after the other. */
const TOUCHES = 10;
const LOOK_EVERY_MS = 5;

/** By whom the updates are made: with the detector off, with it, and with the rollback database followed as well. */
const SETTINGS = {
  off: { fsck: { sweepMs: 0 } },
  fsck: {},
  both: {},
} as const;

export const fsck: Scenario = {
  name: "fsck",
  about: "the confusion detector: how fast it looks, how soon it finds, what it costs updates",
  run: async (bench) => {
    const look = await lookFigures(bench);
    return [...look, ...(await costFigures(bench))];
  },
};

async function lookFigures(bench: Bench): Promise<Figure[]> {
  const database = await bench.seededDatabase();
  const { keys } = bench.sizes;
  const library = await bench.openLibrary(database);
  try {
    const states = await KnownStates.read(library, keys);
    // So that there is a history to look at, and deltas.
    bench.progress("updates, so that there is something to look at");
    await bench.load(CALLERS, (caller) => states.update(caller, CALLERS));
    await (await bench.postgres()).query(database, "vacuum analyze");
    const { rates } = await bench.takeTurns({ rates: () => scrub(library) });
    bench.progress("rows changed by hand");
    const waits = await touch(bench, database, library);
    return [
      {
        name: `states that the detector looks at, ${keys.toLocaleString("en-US")} keys`,
        unit: "/s",
        ours: spreadOf(rates),
        bar: { atLeast: 30_000 },
        notes: ["all checks of main: every row, every change, every digest computed anew"],
      },
      {
        name: "a row changed by hand to the finding that names the check",
        unit: "ms",
        ours: spreadOf(waits),
        bar: { atMost: 2_000 },
        notes: [`the longest of ${waits.length}: ${Math.max(...waits).toFixed(0)} ms`],
      },
    ];
  } finally {
    await library.close();
  }
}

async function scrub(library: Library): Promise<number> {
  const from = performance.now();
  const { checked, findings } = await library.fsck({ checks: MAIN_CHECKS });
  if (findings.length > 0) throw new Error(`nothing is confused, and it found ${findings.length}`);
  return checked / ((performance.now() - from) / 1_000);
}

async function touch(bench: Bench, database: string, library: Library): Promise<number[]> {
  const client = new pg.Client({ connectionString: (await bench.postgres()).url(database) });
  await client.connect();
  const waits: number[] = [];
  try {
    for (let n = 1; n <= TOUCHES; n++) {
      const id = idOf(n);
      const from = performance.now();
      await client.query("update agent_state.states set version = version + 1 where id = $1", [id]);
      await named(library, id);
      waits.push(performance.now() - from);
    }
  } finally {
    await client.end();
  }
  return waits;
}

async function named(library: Library, id: string): Promise<void> {
  for (;;) {
    const { items } = await library.findings({ limit: TOUCHES });
    if (items.some((finding) => finding.id === id)) return;
    await sleep(LOOK_EVERY_MS);
  }
}

async function costFigures(bench: Bench): Promise<Figure[]> {
  const postgres = await bench.postgres();
  const at: Record<string, JsonObject> = {};
  for (const name of ["off", "fsck", "both"]) {
    const rollback = name === "both" ? { rollback: postgres.url(await bench.newDatabase()) } : {};
    at[name] = { main: postgres.url(await bench.seededDatabase()), ...rollback };
  }
  // Opened anew each time: nobody looks at anything while another one is measured.
  const load = (name: keyof typeof SETTINGS) => async (): Promise<Slice> => {
    const library = await bench.openLibrary({ ...SETTINGS[name], supabase: at[name]! });
    try {
      const states = await KnownStates.read(library, bench.sizes.keys);
      return await bench.load(CALLERS, (caller) => states.update(caller, CALLERS));
    } finally {
      await library.close();
    }
  };
  const slices = await bench.takeTurns({
    off: load("off"),
    fsck: load("fsck"),
    both: load("both"),
  });
  const rates = (name: keyof typeof SETTINGS): number[] => slices[name].map(({ rate }) => rate);
  const beside = (name: "fsck" | "both", what: string, atLeast: number): Figure => ({
    name: `durable updates, ${CALLERS} callers, ${what}`,
    unit: "/s",
    ours: spreadOf(rates(name)),
    against: { name: "without", value: spreadOf(rates("off")) },
    ratio: ratioOf(rates(name), rates("off")),
    bar: { atLeast },
  });
  return [
    beside("fsck", "beside sweep and scrub as they are by default", 0.9),
    beside("both", "beside them and the follower of a rollback database", 0.85),
  ];
}
