import { mkdtemp, readFile, readdir, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { dumpMigrations } from "../../src/supabase/dump-migrations.ts";
import { migrate } from "../../src/supabase/migrate.ts";
import { readMigrations } from "../../src/supabase/migrations.ts";
import { catalog } from "../support/catalog.ts";
import { describeOnHomes } from "../support/homes.ts";
import type { TestDatabase } from "../support/homes.ts";
import { connectionTo } from "../support/manager.ts";

const NOW = new Date("2026-11-22T09:30:00.500Z");

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "art-dump-"));
});

afterEach(() => rm(folder, { recursive: true }));

/** A name for each step, a second apart. */
const FIRST = readMigrations("main").map(({ number, name, checksum }, index) => {
  const title = number === 0 ? `functions_${checksum.slice(0, 12)}` : name.replace(".sql", "");
  return `202611220930${String(index).padStart(2, "0")}_agent_state_${title}.sql`;
});

describeOnHomes("a dump of the migrations", (home) => {
  const open: { client: pg.Client; database: TestDatabase }[] = [];

  afterEach(async () => {
    for (const { client, database } of open.splice(0)) {
      await client.end();
      await database.drop();
    }
  });

  async function emptyDatabase() {
    const database = await home.createDatabase();
    const client = new pg.Client({ connectionString: database.adminUrl });
    await client.connect();
    open.push({ client, database });
    return { client, url: database.url };
  }

  /** As any tool does that runs SQL files by name: each file is one batch of statements. */
  async function run(client: pg.Client): Promise<void> {
    for (const name of (await readdir(folder)).toSorted()) {
      await client.query(await readFile(join(folder, name), "utf8"));
    }
  }

  test("makes the same database as the migrator does, which then finds nothing to do", async () => {
    await dumpMigrations(folder, NOW);
    const dumped = await emptyDatabase();
    await run(dumped.client);
    const migrated = await emptyDatabase();
    await migrate(connectionTo(migrated.url));
    const made = await catalog(dumped.client);
    expect(made.length).toBeGreaterThan(100);
    expect(made).toEqual(await catalog(migrated.client));
    expect(await migrate(connectionTo(dumped.url))).toEqual({ applied: [] });
    await dumped.client.query(
      `select agent_state_api.commit('{"changes": [{"id": "a", "type": "note", "data": 1}]}')`,
    );
  });

  test("brings functions up to date that an older program made, and keeps what is stored", async () => {
    const { client, url } = await emptyDatabase();
    await migrate(connectionTo(url));
    await client.query(
      `select agent_state_api.commit('{"changes": [{"id": "a", "type": "note", "data": 1}]}')`,
    );
    await client.query("update agent_state.migrations set checksum = 'old' where number = 0");
    const { written } = await dumpMigrations(folder, NOW);
    await client.query(await readFile(join(folder, written.at(-1)!), "utf8"));
    expect(await migrate(connectionTo(url))).toEqual({ applied: [] });
    const { rows } = await client.query(
      `select agent_state_api.get('{"id": "a"}') -> 'data' as data`,
    );
    expect(rows).toEqual([{ data: 1 }]);
  });
});

describe("a folder of migrations", () => {
  test("gets a file a step, named by the time, and each only once", async () => {
    expect(await dumpMigrations(folder, NOW)).toEqual({ written: FIRST, kept: [] });
    const again = await dumpMigrations(folder, new Date("2027-01-01T00:00:00Z"));
    expect(again).toEqual({ written: [], kept: FIRST });
  });

  test("gets the same text at any time", async () => {
    const other = await mkdtemp(join(tmpdir(), "art-dump-"));
    const texts = async (at: string, names: readonly string[]) =>
      await Promise.all(names.map((name) => readFile(join(at, name), "utf8")));
    const { written } = await dumpMigrations(folder, NOW);
    const later = await dumpMigrations(other, new Date("2030-05-05T05:05:05Z"));
    expect(later.written[0]).toMatch(/^20300505050505_/);
    expect(await texts(other, later.written)).toEqual(await texts(folder, written));
    await rm(other, { recursive: true });
  });

  test("gets only what is new after an upgrade, behind all that is there", async () => {
    const { written } = await dumpMigrations(folder, NOW);
    const functions = written.at(-1)!;
    const ofOldProgram = functions.replace(/[0-9a-f]{12}\.sql$/, "0123456789ab.sql");
    await rename(join(folder, functions), join(folder, ofOldProgram));
    await writeFile(join(folder, "20270303030303_mine.sql"), "select 1");
    expect(await dumpMigrations(folder, NOW)).toEqual({
      written: [functions.replace(/^\d{14}/, "20270303030304")],
      kept: written.slice(0, -1),
    });
  });
});
