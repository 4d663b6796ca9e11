import pg from "pg";

/** A way to run statements on one database, as its superuser. */
export interface Sql {
  /** Rows of a statement; 64-bit numbers as text. */
  sql<Row extends pg.QueryResultRow = Record<string, unknown>>(
    statement: string,
    values?: readonly unknown[],
  ): Promise<Row[]>;
}

/** Statements on a database, and connections of a test's own; `close` ends them all. */
export interface SqlPool extends Sql {
  /** A connection of its own, for transactions by hand. */
  connect(): Promise<pg.Client>;
  close(): Promise<void>;
}

/** Opens nothing before the first statement. */
export function openSql(url: string): SqlPool {
  const pool = new pg.Pool({ connectionString: url, max: 4 });
  pool.on("error", () => undefined);
  const clients: pg.Client[] = [];
  return {
    sql: async <Row extends pg.QueryResultRow>(
      statement: string,
      values: readonly unknown[] = [],
    ) => (await pool.query<Row>(statement, [...values])).rows,
    connect: async () => {
      const client = new pg.Client({ connectionString: url });
      client.on("error", () => undefined);
      await client.connect();
      clients.push(client);
      return client;
    },
    close: async () => {
      for (const client of clients.splice(0)) await client.end().catch(() => undefined);
      await pool.end();
    },
  };
}
