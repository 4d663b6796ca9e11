import { readFileSync } from "node:fs";
import { join } from "node:path";
import pg from "pg";
import { packageRoot } from "../../src/service/package-root.ts";
import type { Bench } from "../bench.ts";
import { makeDocuments, random } from "./documents.ts";
import { pgbench } from "./pgbench.ts";
import type { Pgbench } from "./pgbench.ts";

/** What one would write without us: three tables, and an update of them by hand. */
export class PlainTables {
  readonly #bench: Bench;
  readonly #database: string;
  readonly #documents = makeDocuments().map((document) => JSON.stringify(document));

  private constructor(bench: Bench, database: string) {
    this.#bench = bench;
    this.#database = database;
  }

  /** The tables, with as many states as ours have. */
  static async create(bench: Bench): Promise<PlainTables> {
    const postgres = await bench.postgres();
    const database = await bench.newDatabase();
    const plain = new PlainTables(bench, database);
    await postgres.query(database, readSql("plain-schema.sql"));
    await postgres.query(
      database,
      `insert into states (type, id, version, data)
       select 'task', 'task-' || key, 1, ($1::text[])[1 + key % 512]::jsonb
         from generate_series(1, $2::integer) key`,
      [plain.#documents, bench.sizes.keys],
    );
    await postgres.query(database, "vacuum analyze");
    await postgres.query(database, "checkpoint");
    return plain;
  }

  /** pgbench on the one-statement transaction, on this many states. */
  async pgbench(keys: number): Promise<Pgbench> {
    const { workshop, seconds } = this.#bench;
    return pgbench({
      workshop,
      seconds,
      postgres: await this.#bench.postgres(),
      database: this.#database,
      script: readSql("plain-update.pgb"),
      variables: { keys, data: this.#documents[7]! },
    });
  }

  /** A pool of connections for `update`. */
  async openPool(max: number): Promise<pg.Pool> {
    const postgres = await this.#bench.postgres();
    const pool = new pg.Pool({ connectionString: postgres.url(this.#database), max });
    // It does not wait for its connections to end, so the server's end may reach them first.
    pool.on("error", () => undefined);
    return pool;
  }

  /** The update as it is often written in Node: six round trips. */
  async update(pool: pg.Pool): Promise<void> {
    const id = `task-${1 + random(this.#bench.sizes.keys)}`;
    const document = this.#documents[random(this.#documents.length)];
    const client = await pool.connect();
    try {
      await client.query("begin");
      const { rows } = await client.query<{ version: string }>(
        `select version from states where type = 'task' and id = $1 for update`,
        [id],
      );
      const values = [id, BigInt(rows[0]!.version) + 1n, document];
      await client.query(
        `update states set version = $2, data = $3, updated_at = now() where type = 'task' and id = $1`,
        values,
      );
      for (const [table, column] of [
        ["history", "data"],
        ["outbox", "payload"],
      ]) {
        await client.query(
          `insert into ${table} (type, id, version, ${column}) values ('task', $1, $2, $3)`,
          values,
        );
      }
      await client.query("commit");
    } finally {
      client.release();
    }
  }
}

function readSql(name: string): string {
  return readFileSync(join(packageRoot(), "bench", "sql", name), "utf8");
}
