import { readFileSync } from "node:fs";
import path from "node:path";
import pg from "pg";
import { afterEach, expect, test } from "vitest";
import { packageRoot, packageVersion } from "../../src/service/package-root.ts";
import { migrate } from "../../src/supabase/migrate.ts";
import { readMigrations } from "../../src/supabase/migrations.ts";
import { booksOf, catalog } from "../support/catalog.ts";
import { describeOnHomes, testHomes } from "../support/homes.ts";
import type { TestDatabase, TestHome } from "../support/homes.ts";
import { connectionTo } from "../support/manager.ts";
import { until } from "../support/until.ts";

const NUMBERED = readMigrations("main")
  .filter(({ number }) => number > 0)
  .map(({ name }) => name);
const ALL = [...NUMBERED, "functions"];

describeOnHomes("migrate", (home) => {
  let database: TestDatabase | undefined;
  let clients: pg.Client[] = [];

  afterEach(async () => {
    for (const client of clients) await client.end().catch(() => undefined);
    clients = [];
    await database?.drop();
    database = undefined;
  });

  /** An empty database, and a superuser's connection to it. */
  async function open(): Promise<{ url: string; admin: pg.Client }> {
    database = await home.createDatabase();
    const admin = new pg.Client({ connectionString: database.adminUrl });
    admin.on("error", () => undefined);
    clients.push(admin);
    await admin.connect();
    return { url: database.url, admin };
  }

  const run = (url: string): ReturnType<typeof migrate> => migrate(connectionTo(url));

  test("makes a schema that works, and the second time finds nothing to do", async () => {
    const { url, admin } = await open();
    expect(await run(url)).toEqual({ applied: ALL });
    await admin.query(
      `select agent_state_api.commit('{"changes": [{"id": "a", "type": "note", "data": 1}]}')`,
    );
    expect(await run(url)).toEqual({ applied: [] });
    const { rows } = await admin.query(
      "select number, name, program from agent_state.migrations order by number",
    );
    expect(rows).toEqual([
      { number: 0, name: "functions", program: packageVersion() },
      ...NUMBERED.map((name, index) => ({ number: index + 1, name, program: packageVersion() })),
    ]);
  });

  test("may be run by ten programs at once: each step is done by one of them", async () => {
    const { url } = await open();
    const results = await Promise.all(Array.from({ length: 10 }, () => run(url)));
    expect(results.flatMap(({ applied }) => applied).toSorted()).toEqual(ALL);
  });

  test("replaces functions that are not this program's, and keeps what is stored", async () => {
    const { url, admin } = await open();
    await run(url);
    await admin.query(
      `select agent_state_api.commit('{"changes": [{"id": "a", "type": "note", "data": 1}]}')`,
    );
    await admin.query(
      "create or replace function agent_state_api.get(q jsonb) returns jsonb language sql as 'select null::jsonb'",
    );
    await admin.query(
      "update agent_state.migrations set checksum = 'old', program = '0.0.1' where number = 0",
    );
    expect(await run(url)).toEqual({ applied: ["functions"] });
    const { rows } = await admin.query(
      `select agent_state_api.get('{"id": "a"}') -> 'data' as data`,
    );
    expect(rows).toEqual([{ data: 1 }]);
  });

  test("leaves no former function beside the one that took its place", async () => {
    const { url, admin } = await open();
    await run(url);
    const file = path.join(packageRoot(), "migrations/main/functions/00_former.sql");
    const former = readFileSync(file, "utf8").match(/agent_state\w*\.\w+\([^()]*\)/g)!;
    for (const signature of former) {
      await admin.query(`drop function if exists ${signature}`);
      await admin.query(
        `create function ${signature} returns integer language sql as 'select 1 as former'`,
      );
    }
    await admin.query("update agent_state.migrations set checksum = 'old' where number = 0");
    expect(await run(url)).toEqual({ applied: ["functions"] });
    const { rows } = await admin.query(
      `select pronamespace::regnamespace, proname from pg_proc
        where pronamespace in ('agent_state'::regnamespace, 'agent_state_api'::regnamespace)
        group by 1, 2 having count(*) > 1 or bool_or(prosrc like '%former%')`,
    );
    expect(rows).toEqual([]);
  });

  test.each([
    [
      "a step that this program does not know",
      "insert into agent_state.migrations values (99, '0099_next.sql', 'x', '9.9.9')",
      /newer version.*0099_next\.sql/,
    ],
    [
      "functions of a newer program",
      "update agent_state.migrations set checksum = 'x', program = '99.0.0' where number = 0",
      /functions of version 99\.0\.0/,
    ],
    [
      "another text of a step",
      "update agent_state.migrations set checksum = 'x' where number = 1",
      /another text of 0001_state\.sql/,
    ],
  ])("refuses a database with %s, and changes nothing", async (_name, statement, message) => {
    const { url, admin } = await open();
    await run(url);
    await admin.query(statement);
    const before = await catalog(admin);
    await expect(run(url)).rejects.toMatchObject({
      code: "SCHEMA_MISMATCH",
      message: expect.stringMatching(message),
    });
    expect(await catalog(admin)).toEqual(before);
  });

  test("waits for a table that others hold without holding up the writers", async () => {
    const { url, admin } = await open();
    await run(url);
    await admin.query("update agent_state.migrations set checksum = 'old' where number = 0");
    await admin.query("drop trigger first_phase_is_legal on agent_state.states"); // needs a lock to come back
    const holder = new pg.Client({ connectionString: database!.adminUrl });
    clients.push(holder);
    await holder.connect();
    await holder.query("begin; lock table agent_state.states in row exclusive mode");
    let isOver = false;
    const migrating = run(url).finally(() => (isOver = true));
    const waits = `select from pg_locks where relation = 'agent_state.states'::regclass and not granted`;
    await until(async () => (await admin.query(waits)).rowCount! > 0);
    // Nobody may write past one who waits for the whole table; it has to step aside.
    await admin.query("set lock_timeout = '10s'");
    await admin.query(
      `select agent_state_api.commit('{"changes": [{"id": "a", "type": "note", "data": 1}]}')`,
    );
    expect(isOver).toBe(false);
    await holder.query("commit");
    expect(await migrating).toEqual({ applied: ["functions"] });
  });

  test("gives up on a table that others keep, names them, and changes nothing", async () => {
    const { url, admin } = await open();
    await run(url);
    await admin.query("update agent_state.migrations set checksum = 'old' where number = 0");
    const books = await booksOf(admin);
    await admin.query("begin; lock table agent_state.states in row exclusive mode");
    const pid = (await admin.query<{ pid: number }>("select pg_backend_pid() as pid")).rows[0]!.pid;
    const impatient = { ...connectionTo(url), statementTimeoutMs: 10 };
    await expect(migrate(impatient)).rejects.toMatchObject({
      code: "UNAVAILABLE",
      message: expect.stringMatching(new RegExp(`functions could not lock .*process ${pid} `)),
    });
    await admin.query("rollback");
    expect(await booksOf(admin)).toEqual(books);
  });

  test("of a login that may only call functions, asks nothing where the schema is up to date, else says who has to", async () => {
    const { url, admin } = await open();
    const login = `${database!.name}_app`;
    await admin.query(`create role ${login} login password 'secret'`);
    const asLogin = (): ReturnType<typeof run> =>
      run(database!.adminUrl.replace(/\/\/[^@]*@/, `//${login}:secret@`));
    const says =
      /may not change it \(42501.* migrate --role main .* grant this login agent_state_reader/;
    const refusal = { code: "UNAVAILABLE", message: expect.stringMatching(says) };
    try {
      await expect(asLogin()).rejects.toMatchObject(refusal);
      await run(url);
      await expect(asLogin()).rejects.toMatchObject(refusal);
      await admin.query(`grant agent_state_reader to ${login}`);
      expect(await asLogin()).toEqual({ applied: [] });
      await admin.query("update agent_state.migrations set checksum = 'old' where number = 0");
      await expect(asLogin()).rejects.toMatchObject(refusal);
    } finally {
      await admin.query(`drop role ${login}`);
    }
  });

  test("refuses a server older than PostgreSQL 15", async () => {
    const { admin } = await open();
    // A double of an old server: what it says of itself comes from a function that stands before the real one.
    await admin.query(`create schema old;
      create function old.current_setting(text) returns text language sql as
        $$ select case $1 when 'server_version_num' then '140012' else '14.12' end $$;
      alter database ${database!.name} set search_path = old, pg_catalog`);
    await expect(run(database!.adminUrl)).rejects.toMatchObject({
      code: "SCHEMA_MISMATCH",
      message: expect.stringContaining("14.12"),
    });
  });

  test("says that a database which is not there cannot be reached", async () => {
    const { url } = await open();
    const nowhere = url
      .replace(/@[^:/]*(:\d+)?\//, "@127.0.0.1:1/")
      .replace(/host=[^&]*/, "host=127.0.0.1")
      .replace(/port=\d+/, "port=1");
    await expect(run(nowhere)).rejects.toMatchObject({ code: "UNAVAILABLE" });
  });

  test.each([
    ["in a step", "CREATE TYPE", []],
    ["in the functions", "CREATE AGGREGATE", NUMBERED.map((_, index) => ({ number: index + 1 }))],
  ])(
    "killed %s leaves the database as it was before it, and can be run again",
    async (_name, tag, books) => {
      const { url, admin } = await open();
      // Waits, half-way through, for a lock that this test holds.
      await admin.query(`create function wait_for_test() returns event_trigger language plpgsql as
        'begin perform pg_advisory_xact_lock(4712); end';
      create event trigger half_way on ddl_command_start when tag in ('${tag}') execute function wait_for_test();
      select pg_advisory_lock(4712)`);
      const killed = run(url).catch((error: unknown) => error);
      const waits = `select pid from pg_locks where locktype = 'advisory' and objid = 4712 and not granted
                      and database = (select oid from pg_database where datname = current_database())`;
      const { pid } = await until(async () => (await admin.query<{ pid: number }>(waits)).rows[0]);
      await admin.query("select pg_terminate_backend($1)", [pid]);
      expect(await killed).toMatchObject({ code: "UNAVAILABLE" });
      await admin.query("select pg_advisory_unlock(4712)");
      await admin.query("drop event trigger half_way");
      expect(await booksOf(admin)).toEqual(books);
      const { rows } = await admin.query(
        "select from pg_proc p join pg_namespace n on n.oid = p.pronamespace where n.nspname like 'agent\\_state%'",
      );
      expect(rows).toEqual([]);
      expect((await run(url)).applied).toEqual(ALL.slice(books.length));
      await admin.query(
        `select agent_state_api.commit('{"changes": [{"id": "a", "type": "note", "data": 1}]}')`,
      );
    },
  );
});

test("the schema is the same on every home", async () => {
  const homes = testHomes().filter(({ available }) => available === true);
  const [first, ...others] = await Promise.all(homes.map(schemaOn));
  expect(first!.length).toBeGreaterThan(100);
  for (const other of others) expect(other).toEqual(first);
});

async function schemaOn(home: TestHome): Promise<unknown[]> {
  const database = await home.createDatabase();
  await migrate(connectionTo(database.url));
  const admin = new pg.Client({ connectionString: database.adminUrl });
  await admin.connect();
  const found = await catalog(admin);
  await admin.end();
  await database.drop();
  return found;
}
