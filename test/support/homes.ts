import pg from "pg";
import { describe, inject, test } from "vitest";
import { urlOf } from "../../dev/services/address.ts";
import type { Services } from "../../dev/services/services.ts";
import type { ServerAddress } from "../../src/embedded/servers.ts";
import { proofLength } from "./length.ts";

/** A database of a test, all its own. */
export interface TestDatabase {
  readonly name: string;
  /** The way that the home stands for; a connection string for pg. */
  readonly url: string;
  /** Past any pooler, as superuser. */
  readonly adminUrl: string;
  drop(): Promise<void>;
}

/** One of the ways to run the same SQL. */
export interface TestHome {
  readonly name: "debian" | "pgbouncer" | "embedded";
  /** True, or what is missing here. */
  readonly available: true | string;
  /** A new database: empty, or a copy of `template`, which nobody may be connected to. */
  createDatabase(options?: { readonly template?: string }): Promise<TestDatabase>;
}

/** Every home: PostgreSQL of the system, the same behind a transaction pooler, the embedded one. */
export function testHomes(): readonly TestHome[] {
  const { postgres, pgbouncer } = inject("services");
  return [
    serverHome("debian", postgres, postgres),
    serverHome("pgbouncer", pgbouncer, postgres),
    embedded,
  ];
}

/**
 * Runs a suite on every home. On one that is not here, a single test stands for the suite: skipped,
 * with what is missing as the reason; failed where CI=true, so that no machine stays green without it.
 */
export function describeOnHomes(
  name: string,
  suite: (home: TestHome) => void,
  homes = testHomes(),
): void {
  describe.each(homes.map((home) => [home.name, home] as const))(
    `${name}, on %s`,
    (_name, home) => {
      if (home.available === true) suite(home);
      else requireHere(home.available);
    },
  );
}

/** The same on each PostgreSQL, for what a pooler before it makes no other: the contract suites go through one. */
export function describeOnPostgres(name: string, suite: (home: TestHome) => void): void {
  describeOnHomes(
    name,
    suite,
    testHomes().filter((home) => home.name !== "pgbouncer"),
  );
}

/** The same for proofs that take long: the short form runs them on one of those that are here. */
export function proveOnPostgres(name: string, suite: (home: TestHome) => void): void {
  const prove = proofLength({
    short: () => describeOnHomes(name, suite, oneHome()),
    full: () => describeOnPostgres(name, suite),
  });
  prove();
}

/** One home that is here, for what does not see which one it is. */
export function oneHome(): TestHome[] {
  const homes = testHomes();
  return [homes.find(({ available }) => available === true) ?? homes[0]!];
}

/** A test that stands for those which cannot run here: skipped with the reason, failed where CI=true. */
export function requireHere(missing: string): void {
  test("has all that it runs on", (context) => {
    const reason = `not here: ${missing}`;
    if (process.env["CI"] === "true") throw new Error(reason);
    context.skip(reason);
  });
}

function serverHome(
  name: "debian" | "pgbouncer",
  way: Services["pgbouncer"],
  direct: Services["postgres"],
): TestHome {
  const missing = "missing" in way ? way.missing : "missing" in direct ? direct.missing : undefined;
  return {
    name,
    available: missing ?? true,
    createDatabase: async ({ template } = {}) => {
      if ("missing" in way || "missing" in direct) throw new Error(`not here: ${missing}`);
      const database = await createDatabase((of) => urlOf(direct, of), template);
      return { ...database, url: urlOf(way, database.name) };
    },
  };
}

/** One for each worker: its servers take forty connections. */
const embedded: TestHome = {
  name: "embedded",
  available: true,
  createDatabase: ({ template } = {}) =>
    createEmbeddedDatabase(`worker-${process.env["VITEST_POOL_ID"]}`, template),
};

/** On the embedded server of that name, which starts with the first database that is wanted of it. */
export async function createEmbeddedDatabase(
  server: string,
  template?: string,
): Promise<TestDatabase> {
  const door = await fetch(`${inject("embedded").url}/${server}`);
  if (!door.ok) throw new Error(`no embedded PostgreSQL: ${await door.text()}`);
  const { host, port, user } = (await door.json()) as ServerAddress;
  const url = (database: string): string =>
    `postgres://${user}@/${database}?host=${encodeURIComponent(host)}&port=${port}`;
  return await createDatabase(url, template);
}

let count = 0;

/** A new database, on the server for whose databases `url` is. */
export async function createDatabase(
  url: (database: string) => string,
  template = "template0",
): Promise<TestDatabase> {
  const name = `test_${process.pid}_${++count}`;
  const admin = url("postgres");
  await execute(admin, `create database ${name} template ${pg.escapeIdentifier(template)}`);
  return {
    name,
    url: url(name),
    adminUrl: url(name),
    drop: () => execute(admin, `drop database if exists ${name} with (force)`),
  };
}

async function execute(url: string, sql: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(sql);
  } finally {
    await client.end();
  }
}
