import pg from "pg";
import { afterEach, beforeEach, expect, test } from "vitest";
import { describeOnHomes, type TestDatabase } from "./homes.ts";

describeOnHomes("a test's database", (home) => {
  let database: TestDatabase;

  beforeEach(async () => {
    database = await home.createDatabase();
  });

  afterEach(async () => {
    await database.drop();
  });

  test("is a PostgreSQL of 15 or newer that syncs every commit", async () => {
    const rows = await query(
      database.url,
      `select current_setting('server_version_num')::int / 10000 as major,
              current_setting('fsync') as fsync,
              current_setting('synchronous_commit') as commit,
              current_database() as name`,
    );
    expect(rows).toMatchObject([{ fsync: "on", commit: "on", name: database.name }]);
    expect(rows[0]?.["major"]).toBeGreaterThanOrEqual(15);
  });

  test("is a copy of its template, where one is named", async () => {
    await query(database.adminUrl, "create table planted as select 7 as seven");
    const copy = await home.createDatabase({ template: database.name });
    expect(await query(copy.url, "select seven from planted")).toEqual([{ seven: 7 }]);
    await copy.drop();
  });

  test("is gone once dropped, whoever is connected", async () => {
    const client = new pg.Client({ connectionString: database.adminUrl });
    client.on("error", () => undefined); // the drop ends it
    await client.connect();
    await database.drop();
    await expect(client.query("select 1")).rejects.toThrow(/terminat|connection/i);
    await client.end().catch(() => undefined);
  });

  test("gives each transaction a connection, and a session none, behind a transaction pooler", async () => {
    const pool = new pg.Pool({ connectionString: database.url, max: 20 });
    const one = await pool.connect();
    const other = await pool.connect();
    await one.query("begin");
    const [[first], [second]] = await Promise.all([backendOf(one), backendOf(other)]);
    await one.query("commit");
    expect(first?.pid).not.toBe(second?.pid); // inside a transaction nobody shares
    const [after] = await backendOf(other);
    const [next] = await backendOf(one);
    // Outside one, the pooler gives both the same server connection, the last one used.
    expect(after?.pid === next?.pid).toBe(home.name === "pgbouncer");
    one.release();
    other.release();
    await pool.end();
  });
});

async function backendOf(client: pg.PoolClient): Promise<{ readonly pid: number }[]> {
  const { rows } = await client.query<{ pid: number }>("select pg_backend_pid() as pid");
  return rows;
}

async function query(url: string, sql: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(sql)).rows;
  } finally {
    await client.end();
  }
}
