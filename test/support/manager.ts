import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { StateManager } from "../../src/manager/state-manager.ts";
import type { ManagerOptions } from "../../src/manager/manager-options.ts";
import type { StateStore } from "../../src/state/ports.ts";
import type { ConnectionOptions } from "../../src/supabase/connection.ts";
import { migrate } from "../../src/supabase/migrate.ts";
import { openStateStore } from "../../src/supabase/state-store.ts";
import type { StoreOptions } from "../../src/supabase/state-store.ts";
import type { TestDatabase, TestHome } from "./homes.ts";
import { Proxy } from "./proxy.ts";
import { openSql } from "./sql.ts";
import type { SqlPool } from "./sql.ts";

/** A migrated database of a test, with what is opened on it, past any pooler; `close` ends it all. */
export interface Bench extends SqlPool {
  readonly database: TestDatabase;
  openStore(options?: Partial<StoreOptions>): StateStore;
  openManager(options?: Partial<ManagerOptions & StoreOptions>): StateManager;
}

const TEMPLATE = "agent_state_migrated";

/** Any number, so that of several test files one makes the template. */
const TEMPLATE_LOCK = 4_711;

const templates = new Map<string, Promise<void>>();

/** A database with the schema in it, copied from a template that is made once a server. */
export async function openBench(home: TestHome): Promise<Bench> {
  let made = templates.get(home.name);
  if (made === undefined) templates.set(home.name, (made = makeTemplate(home)));
  await made;
  return benchOn(await home.createDatabase({ template: TEMPLATE }));
}

/** How the tests reach a database. */
export function connectionTo(url: string): ConnectionOptions {
  return { address: { url }, connectTimeoutMs: 10_000, statementTimeoutMs: 30_000 };
}

interface Proxied {
  readonly proxy: Proxy;
  readonly url: string;
  readonly close: () => Promise<void>;
}

/** The same database through a proxy that can cut, freeze and delay what comes by. */
export async function proxied(database: TestDatabase): Promise<Proxied> {
  const { url } = database;
  const settings = new URLSearchParams(url.split("?")[1]);
  const folder = settings.get("host");
  if (folder === null) {
    const [, host, port] = /@([^:/]+):(\d+)\//.exec(url)!;
    const proxy = await Proxy.open({ host: host!, port: Number(port) });
    const ours = url.replace(`@${host}:${port}/`, `@127.0.0.1:${proxy.port}/`);
    return { proxy, url: ours, close: () => proxy.close() };
  }
  const socket = `.s.PGSQL.${settings.get("port")}`;
  const ours = await mkdtemp(join(tmpdir(), "art-proxy-"));
  const proxy = await Proxy.open({ path: join(folder, socket) }, { path: join(ours, socket) });
  return {
    proxy,
    url: url.replace(encodeURIComponent(folder), encodeURIComponent(ours)),
    close: async () => {
      await proxy.close();
      await rm(ours, { recursive: true });
    },
  };
}

/** A database that is there, as a bench. */
export function benchOn(database: TestDatabase): Bench {
  const admin = openSql(database.adminUrl);
  const ends: (() => Promise<unknown>)[] = [];
  const openStore = (options: Partial<StoreOptions> = {}): StateStore => {
    const store = openStateStore({
      ...connectionTo(database.url),
      lanes: 4,
      readers: 4,
      dataBytes: 1_048_576,
      dataDepth: 64,
      isAlone: true, // A connection less each: embedded servers take forty.
      ...options,
    });
    ends.push(() => store.close());
    return store;
  };
  return {
    ...admin,
    database,
    openStore,
    openManager: (options = {}) => {
      const manager = new StateManager({ store: openStore(options), pollMs: 20, ...options });
      ends.push(() => manager.close());
      return manager;
    },
    close: async () => {
      await admin.close(); // first: a transaction by hand may hold what the others wait for
      for (const end of ends.splice(0).toReversed()) await end();
      await database.drop();
    },
  };
}

async function makeTemplate(home: TestHome): Promise<void> {
  const scratch = await home.createDatabase();
  // Advisory locks are a database's own: all have to meet in the same one.
  const meeting = scratch.adminUrl.replace(scratch.name, "postgres");
  const client = new pg.Client({ connectionString: meeting });
  await client.connect();
  try {
    await client.query("select pg_advisory_lock($1)", [TEMPLATE_LOCK]);
    const { rowCount } = await client.query("select from pg_database where datname = $1", [
      TEMPLATE,
    ]);
    if (rowCount === 1) return await scratch.drop();
    await migrate(connectionTo(scratch.adminUrl));
    await client.query(`alter database ${scratch.name} rename to ${TEMPLATE}`);
  } finally {
    await client.end();
  }
}
