import { randomUUID } from "node:crypto";
import pg from "pg";
import { afterAll, describe, inject } from "vitest";
import { StateManager } from "../../src/manager/state-manager.ts";
import type { StateStore } from "../../src/state/ports.ts";
import { migrate } from "../../src/supabase/migrate.ts";
import { openStateStore } from "../../src/supabase/state-store.ts";
import type { TransportOptions } from "../../src/supabase/transport.ts";
import { missingPostgres, PrivatePostgres } from "../fault/private-postgres.ts";
import { createDatabase, createEmbeddedDatabase, requireHere } from "./homes.ts";
import { proofLength } from "./length.ts";
import type { TestDatabase } from "./homes.ts";
import { connectionTo } from "./manager.ts";
import { PostgrestDouble } from "./postgrest-double.ts";
import type { DoubleOptions } from "./postgrest-double.ts";

/** Keys as a project has them, and JWTs that it might sign for others; each stands for a role. */
export const KEYS = {
  secret: "sb_secret_0123456789",
  publishable: "sb_publishable_0123456789",
  serviceJwt: "eyJhbGciOiJIUzI1NiJ9.service_role.signature",
  anonJwt: "eyJhbGciOiJIUzI1NiJ9.anon.signature",
  authenticatedJwt: "eyJhbGciOiJIUzI1NiJ9.authenticated.signature",
  operatorJwt: "eyJhbGciOiJIUzI1NiJ9.agent_state_operator.signature",
  writerJwt: "eyJhbGciOiJIUzI1NiJ9.agent_state_writer.signature",
  readerJwt: "eyJhbGciOiJIUzI1NiJ9.agent_state_reader.signature",
} as const;

/** A project: a database with the roles of a Supabase, and a double of its Data API. */
export interface Supabase {
  readonly database: TestDatabase;
  /** As the `postgres` of a Supabase, which is no superuser. */
  readonly ownerUrl: string;
  readonly double: PostgrestDouble;
  sql<Row extends pg.QueryResultRow = Record<string, unknown>>(
    statement: string,
    values?: readonly unknown[],
  ): Promise<Row[]>;
  /** A connection of its own, as superuser. */
  connect(): Promise<pg.Client>;
  /** Over the Data API; with the secret key, where no other is said. */
  openStore(way?: Partial<Way>): StateStore;
  openManager(way?: Partial<Way>): StateManager;
  close(): Promise<void>;
}

/** How a test goes to the Data API. */
export interface Way {
  readonly key: string;
  readonly url: string;
  readonly statementTimeoutMs: number;
}

type CreateDatabase = () => Promise<TestDatabase>;

/**
 * Runs a suite on servers that no other test file uses, as roles belong to a whole server: PostgreSQL of the
 * system, and the embedded one. One that is not here is skipped with its reason; with CI=true that fails.
 */
export function describeOnPrivateServers(
  name: string,
  suite: (createDatabase: CreateDatabase) => void,
): void {
  onPrivateDebian(name, suite);
  describe(`${name}, on embedded`, () => {
    suite(privateEmbeddedDatabases());
  });
}

/** The same for proofs that take long: the short form runs them on the PostgreSQL of the system, where there is one. */
export function proveOnPrivateServers(
  name: string,
  suite: (createDatabase: CreateDatabase) => void,
): void {
  const isOne = missingPostgres() === undefined && proofLength({ short: true, full: false });
  (isOne ? onPrivateDebian : describeOnPrivateServers)(name, suite);
}

function onPrivateDebian(name: string, suite: (createDatabase: CreateDatabase) => void): void {
  describe(`${name}, on debian alone`, () => {
    const missing = missingPostgres();
    if (missing === undefined) suite(privateDatabases());
    else requireHere(missing);
  });
}

/** On an embedded server of its own. */
export function privateEmbeddedDatabases(): CreateDatabase {
  const name = randomUUID();
  afterAll(() => fetch(`${inject("embedded").url}/${name}`, { method: "DELETE" }));
  return () => createEmbeddedDatabase(name);
}

function privateDatabases(): CreateDatabase {
  let opening: Promise<PrivatePostgres> | undefined;
  afterAll(async () => await (await opening)?.close());
  return async () => {
    opening ??= PrivatePostgres.open();
    const { url } = await opening;
    return await createDatabase((database) => url.replace("/postgres?", `/${database}?`));
  };
}

/** The roles as a Supabase makes them. `supabase_owner` stands for its `postgres`. */
const ROLES = `do $$ begin
  if exists (select from pg_roles where rolname = 'anon') then return; end if;
  create role anon nologin noinherit;
  create role authenticated nologin noinherit;
  create role service_role nologin noinherit bypassrls;
  create role authenticator login noinherit;
  grant anon, authenticated, service_role to authenticator;
  alter role authenticator set statement_timeout = '8s';
  alter role authenticator set lock_timeout = '8s';
  create role supabase_owner login createrole createdb bypassrls;
end $$`;

/** Privileges that somebody gave away once and for all: what is made later must not have them. */
const CARELESS_DEFAULTS = ["schemas", "tables", "sequences", "functions"].map(
  (what) =>
    `alter default privileges for role supabase_owner grant all on ${what} to anon, authenticated, service_role`,
);

/** A project in a new database, migrated unless told otherwise. */
export async function openSupabase(
  create: CreateDatabase,
  options: Partial<DoubleOptions> & { readonly isMigrated?: boolean } = {},
): Promise<Supabase> {
  const database = await create();
  const pool = new pg.Pool({ connectionString: database.adminUrl, max: 4 });
  pool.on("error", () => undefined);
  const as = (login: string): string => database.adminUrl.replace(/\/\/[^@]*@/, `//${login}@`);
  const ownerUrl = as("supabase_owner");
  await pool.query(ROLES);
  await pool.query(`alter database ${database.name} owner to supabase_owner`);
  for (const statement of CARELESS_DEFAULTS) await pool.query(statement);
  if (options.isMigrated !== false) await migrate(connectionTo(ownerUrl));
  const double = await PostgrestDouble.open({
    connectionString: as("authenticator"),
    keys: rolesOfKeys(),
    schemas: ["public", "agent_state_api"],
    ...options,
  });
  const ends: (() => Promise<unknown>)[] = [];
  const openStore = (way: Partial<Way> = {}): StateStore => {
    const store = openStateStore({
      ...wayTo({ url: double.url, ...way }),
      dataBytes: 1_048_576,
      dataDepth: 64,
    });
    ends.push(() => store.close());
    return store;
  };
  return {
    database,
    ownerUrl,
    double,
    openStore,
    sql: async <Row extends pg.QueryResultRow>(
      statement: string,
      values: readonly unknown[] = [],
    ) => (await pool.query<Row>(statement, [...values])).rows,
    connect: async () => {
      const client = new pg.Client({ connectionString: database.adminUrl });
      client.on("error", () => undefined);
      await client.connect();
      ends.push(() => client.end().catch(() => undefined));
      return client;
    },
    openManager: (way) => {
      const manager = new StateManager({ store: openStore(way), pollMs: 20 });
      ends.push(() => manager.close());
      return manager;
    },
    close: async () => {
      for (const end of ends.splice(0).toReversed()) await end();
      await double.close();
      await pool.end();
      await database.drop();
    },
  };
}

/** How a store goes to a Data API. */
export function wayTo(way: Pick<Way, "url"> & Partial<Way>): TransportOptions {
  const { url, key = KEYS.secret, statementTimeoutMs = 30_000 } = way;
  return {
    address: { dataApi: { url, key, setting: "supabase.main" } },
    connectTimeoutMs: 10_000,
    statementTimeoutMs,
    lanes: 4,
    readers: 4,
  };
}

function rolesOfKeys(): Record<string, string> {
  const jwts = Object.values(KEYS).filter((key) => key.includes("."));
  return {
    [KEYS.secret]: "service_role",
    [KEYS.publishable]: "anon",
    ...Object.fromEntries(jwts.map((jwt) => [jwt, jwt.split(".")[1]!])),
  };
}
