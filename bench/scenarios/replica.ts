import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { urlOf } from "../../dev/services/address.ts";
import type { ServerAddress } from "../../dev/services/address.ts";
import { startServices } from "../../dev/services/services.ts";
import type { Bench, Scenario } from "../bench.ts";
import { spreadOf } from "../measure/statistics.ts";
import { random } from "../parts/documents.ts";
import type { Library } from "../parts/library.ts";

const MOST_READS = 20_000;
const CALLERS = 8;
const STATES = 1_000;
/** Of this many calls one writes. */
const WRITE_EVERY = 10;
/** Milliseconds that replay stands still, for each read: 10 s for 20,000. */
const PAUSE_MS_PER_READ = 0.5;
/** Replay stands still and goes on for up to so long, again and again. */
const LAG_MS = 40;

export const replica: Scenario = {
  name: "replica",
  about: "session reads beside a streaming replica: how many are stale, how many it serves",
  run: async (bench) => {
    const running = await startServices({ only: ["replica"] });
    bench.workshop.atEnd(() => running.stop());
    const { postgres, replica: copy } = running.services;
    if ("missing" in postgres || "missing" in copy) throw new Error("the replica needs PostgreSQL");
    const library = await openBeside(bench, postgres, copy);
    const sessions = new Sessions(library);
    await sessions.create();

    const reads = Math.min(MOST_READS, bench.sizes.keys);
    bench.progress("reads beside a replica that follows");
    const before = library.replica!.figures.served;
    await sessions.call(reads);
    const after = library.replica!.figures.served;
    const [own, mains] = [after.readonly - before.readonly, after.main - before.main];

    bench.progress("reads beside a replica that lags, and stands still");
    await withLag(copy, reads * PAUSE_MS_PER_READ, () => sessions.call(reads));
    await library.close();
    return [
      {
        name: `session reads that see what was written, replay paused for ${(reads * PAUSE_MS_PER_READ) / 1_000} s and at random`,
        unit: "%",
        ours: spreadOf([100 * (1 - sessions.stale / (2 * reads))]),
        bar: { atLeast: 100 },
        notes: [
          `${sessions.stale} stale of ${2 * reads}; half of them while replay lagged; one in ten is a list`,
        ],
      },
      {
        name: "session reads that the replica serves while it follows",
        unit: "%",
        ours: spreadOf([(100 * own) / (own + mains)]),
        bar: { atLeast: 95 },
        notes: [`one call in ${WRITE_EVERY} writes; nothing is read from the process's own memory`],
      },
    ];
  },
};

async function openBeside(
  bench: Bench,
  main: ServerAddress,
  copy: ServerAddress,
): Promise<Library> {
  const library = await bench.openLibrary({
    supabase: { main: urlOf(main, "postgres"), readonly: urlOf(copy, "postgres") },
    cache: { entries: 0 },
  });
  while (library.replica!.status.health !== "ok") await sleep(20);
  return library;
}

/** Callers that read what they all write, and know the least that each must find. */
class Sessions {
  stale = 0;
  readonly #library: Library;
  readonly #versions = new Map<string, bigint>();

  constructor(library: Library) {
    this.#library = library;
  }

  async create(): Promise<void> {
    await Promise.all(Array.from({ length: STATES }, (_, n) => this.#write(`state-${n}`)));
  }

  /** So many reads, and writes between them. */
  async call(reads: number): Promise<void> {
    let left = reads;
    const caller = async (): Promise<void> => {
      while (left > 0) {
        if (random(WRITE_EVERY) === 0) await this.#write(this.#any());
        else if (left-- % 10 === 0) await this.#list();
        else await this.#read(this.#any());
      }
    };
    await Promise.all(Array.from({ length: CALLERS }, caller));
  }

  async #write(id: string): Promise<void> {
    const { version } = await this.#library.updateState(id, "note", { at: performance.now() });
    if (version > (this.#versions.get(id) ?? 0n)) this.#versions.set(id, version);
  }

  async #read(id: string): Promise<void> {
    const least = this.#versions.get(id)!;
    const { version } = await this.#library.getState(id);
    if (version < least) this.stale++;
  }

  async #list(): Promise<void> {
    const least = new Map(this.#versions);
    const { items } = await this.#library.list({ limit: 20, idPrefix: `state-${random(100)}` });
    if (items.some(({ id, version }) => version < least.get(id)!)) this.stale++;
  }

  #any(): string {
    return `state-${random(STATES)}`;
  }
}

async function withLag(
  copy: ServerAddress,
  pauseMs: number,
  work: () => Promise<void>,
): Promise<void> {
  const client = new pg.Client({ connectionString: urlOf(copy, "postgres") });
  await client.connect();
  let isOver = false;
  const standStill = async (ms: number): Promise<void> => {
    await ask(client, "select pg_wal_replay_pause()");
    await sleep(ms);
    await ask(client, "select pg_wal_replay_resume()");
  };
  const lagging = (async () => {
    await standStill(pauseMs);
    while (!isOver) {
      await sleep(random(LAG_MS));
      await standStill(random(LAG_MS));
    }
  })();
  await work().finally(() => (isOver = true));
  await lagging;
  await client.end();
}

/** Recovery may cancel the question itself. */
async function ask(client: pg.Client, statement: string): Promise<void> {
  for (;;) {
    try {
      await client.query(statement);
      return;
    } catch (error) {
      if ((error as { code?: string }).code !== "40001") throw error;
    }
  }
}
