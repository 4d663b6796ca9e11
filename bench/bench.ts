import { load, type Slice } from "./measure/load.ts";
import { PlainTables } from "./parts/plain-tables.ts";
import { Postgres } from "./parts/postgres.ts";
import { seedStates } from "./parts/library.ts";
import type { Library } from "./parts/library.ts";
import { openStateManager } from "../src/runtime.ts";
import type { Settings } from "../src/runtime.ts";
import type { Workshop } from "./parts/workshop.ts";
import { takeTurns } from "./measure/rounds.ts";
import type { Contender } from "./measure/rounds.ts";
import type { Figure } from "./figure.ts";

/** How much of everything. */
export interface Sizes {
  readonly keys: number;
  /** How many clients pgbench tries, to find its best rate. */
  readonly clients: readonly number[];
  readonly sharedBuffers: string;
  readonly idleSeconds: number;
  /** States, and rows of history, of the small and of the large database. */
  readonly few: number;
  readonly many: number;
  readonly conversations: number;
  readonly turns: number;
  /** Updates after which memory is looked at. */
  readonly growth: readonly number[];
  readonly stacks: number;
  /** On all these stacks together. */
  readonly tasks: number;
  /** Tasks of the one deep stack. */
  readonly deepStack: number;
}

/** A group of figures that are measured together. */
export interface Scenario {
  readonly name: string;
  /** What it measures, for `--help`. */
  readonly about: string;
  /** Only run where it is named: it needs what is not there without being asked for. */
  readonly isOnlyNamed?: boolean;
  readonly run: (bench: Bench) => Promise<Figure[]>;
}

/** What a scenario needs is not on this machine, or cannot be: it is left out, and the reason is told. */
export class CannotRun extends Error {
  override readonly name = "CannotRun";
}

export interface BenchOptions {
  readonly workshop: Workshop;
  readonly sizes: Sizes;
  readonly rounds: number;
  /** Of one slice. */
  readonly seconds: number;
  readonly progress: (text: string) => void;
}

const SEED = "seed";

/** What scenarios share: the options, one PostgreSQL, and databases with 100,000 states to start from. */
export class Bench {
  readonly workshop: Workshop;
  readonly sizes: Sizes;
  readonly rounds: number;
  readonly seconds: number;
  readonly progress: (text: string) => void;
  #postgres: Promise<Postgres> | undefined;
  #seed: Promise<void> | undefined;
  #plain: Promise<PlainTables> | undefined;
  #databases = 0;

  constructor(options: BenchOptions) {
    this.workshop = options.workshop;
    this.sizes = options.sizes;
    this.rounds = options.rounds;
    this.seconds = options.seconds;
    this.progress = options.progress;
  }

  /** The run's PostgreSQL; started when it is first wanted. */
  postgres(): Promise<Postgres> {
    this.#postgres ??= Postgres.start(this.workshop, this.sizes.sharedBuffers);
    return this.#postgres;
  }

  /** What one would write without us, in a database of its own. */
  plainTables(): Promise<PlainTables> {
    this.#plain ??= PlainTables.create(this);
    return this.#plain;
  }

  /** A new database, empty or a copy of one that nobody is connected to. */
  async newDatabase(template?: string): Promise<string> {
    const postgres = await this.postgres();
    const name = `bench_${++this.#databases}`;
    await postgres.createDatabase(name, template);
    return name;
  }

  /** A new database with all the states at version 1. */
  async seededDatabase(): Promise<string> {
    this.#seed ??= this.#makeSeed();
    await this.#seed;
    return this.newDatabase(SEED);
  }

  /** The library as a program opens it: on a database of the run's PostgreSQL, or as the settings say. */
  async openLibrary(on: string | Settings): Promise<Library> {
    const settings =
      typeof on === "string" ? { supabase: { main: (await this.postgres()).url(on) } } : on;
    const library = await openStateManager(settings);
    this.workshop.atEnd(() => library.close());
    return library;
  }

  /** Contenders in turns, for all the rounds. */
  takeTurns<Name extends string, Measured>(
    contenders: Readonly<Record<Name, Contender<Measured>>>,
  ): Promise<Record<Name, Measured[]>> {
    const { rounds, progress } = this;
    return takeTurns(contenders, { rounds, progress, signal: this.workshop.signal });
  }

  /** One slice of calls by so many callers. */
  load(callers: number, call: (caller: number) => Promise<unknown>): Promise<Slice> {
    const { seconds, workshop } = this;
    return load({ callers, seconds, signal: workshop.signal }, call);
  }

  async #makeSeed(): Promise<void> {
    this.progress(`creating ${this.sizes.keys} states`);
    const postgres = await this.postgres();
    await postgres.createDatabase(SEED);
    const library = await this.openLibrary(SEED);
    try {
      await seedStates(library, this.sizes.keys);
    } finally {
      await library.close();
    }
    await postgres.query(SEED, "vacuum analyze");
    await postgres.query(SEED, "checkpoint");
  }
}
