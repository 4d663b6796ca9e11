import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { urlOf } from "../../dev/services/address.ts";
import { startServices } from "../../dev/services/services.ts";
import type { Bench } from "../bench.ts";
import type { Library } from "./library.ts";

const LOOK_MS = 1;
const SETTLED_LOOK_MS = 20;
const COPIED_MS = 600_000;

/** A rollback database on a server of its own, looked at past the library that fills it. */
export class Copies {
  /** For the library. */
  readonly url: string;
  readonly #client: pg.Client;
  readonly #signal: AbortSignal;

  private constructor(url: string, client: pg.Client, signal: AbortSignal) {
    this.url = url;
    this.#client = client;
    this.#signal = signal;
  }

  static async start({ workshop }: Bench): Promise<Copies> {
    const running = await startServices({ only: ["rollback"] });
    workshop.atEnd(() => running.stop());
    const { rollback } = running.services;
    if ("missing" in rollback) throw new Error("the rollback database needs PostgreSQL");
    const url = urlOf(rollback, "postgres");
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    workshop.atEnd(() => client.end());
    return new Copies(url, client, workshop.signal);
  }

  /** The library on `database`, with this one beside it; resolves when all that is there is copied. */
  async openLibrary(bench: Bench, database: string): Promise<Library> {
    const main = (await bench.postgres()).url(database);
    const library = await bench.openLibrary({ supabase: { main, rollback: this.url } });
    await this.settled();
    return library;
  }

  /** The steps of all scopes, added up. */
  async steps(): Promise<number> {
    return await this.#number("select coalesce(sum(pending_step), 0) from agent_state.scopes");
  }

  /** Resolves when it holds all that was committed by now. */
  async settled(): Promise<void> {
    const now = new Date();
    const settled =
      "select count(*) from agent_state.follower where settled_at > $1 and walk is null";
    await this.#until(settled, [now], SETTLED_LOOK_MS);
  }

  /** Resolves when the step of the scope is there: the one before it can be gone back to. */
  async holds(scope: string, step: bigint): Promise<void> {
    const there =
      "select count(*) from agent_state.scopes where namespace = 'default' and scope = $1 and pending_step >= $2";
    await this.#until(there, [scope, step], LOOK_MS);
  }

  async #until(statement: string, values: readonly unknown[], pauseMs: number): Promise<void> {
    const deadline = performance.now() + COPIED_MS;
    while ((await this.#number(statement, values)) === 0) {
      if (performance.now() > deadline) throw new Error(`not copied: ${values.join(" ")}`);
      await sleep(pauseMs, undefined, { signal: this.#signal });
    }
  }

  async #number(statement: string, values: readonly unknown[] = []): Promise<number> {
    const { rows } = await this.#client.query<string[]>({
      text: statement,
      values: [...values],
      rowMode: "array",
    });
    return Number(rows[0]![0]);
  }
}
