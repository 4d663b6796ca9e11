import pg from "pg";
import { AgentRuntimeError } from "../state/errors.ts";
import { clientConfig } from "./connection.ts";
import type { ConnectionOptions } from "./connection.ts";
import { failureOf } from "./failure.ts";
import { BOOKS, checkBooks, entryOf, readMigrations } from "./migrations.ts";
import type { BookEntry, Migration, SchemaRole } from "./migrations.ts";

/** Any number: it only has to be the same in every version of this program. */
const LOCK = 7_130_421_988;

const OLDEST_SERVER = 150_000;

export interface MigrateResult {
  /** Names of the files that were run; empty where the schema was up to date. */
  readonly applied: readonly string[];
}

/**
 * Brings a database's schema up to date: numbered files once, each in a transaction of its own, then
 * the functions, which are replaced as one set whenever this program's differ.
 *
 * Several programs may do this at once; an advisory lock lets one go first.
 *
 * @throws {AgentRuntimeError} SCHEMA_MISMATCH: the database is newer than this program, was migrated
 *   for another role or by other files, or is older than PostgreSQL 15. UNAVAILABLE: it cannot be reached.
 */
export async function migrate(
  options: ConnectionOptions,
  role: SchemaRole = "main",
): Promise<MigrateResult> {
  const client = new pg.Client({ ...clientConfig(options), query_timeout: 600_000 });
  client.on("error", () => undefined);
  try {
    await client.connect();
    await checkServer(client, role);
    const applied: string[] = [];
    const steps = readMigrations(role);
    for (const step of steps) {
      if (await applyOnce(client, step, steps)) applied.push(step.name);
    }
    return { applied };
  } catch (error) {
    throw error instanceof AgentRuntimeError ? error : failureOf(error, false);
  } finally {
    await client.end().catch(() => undefined);
  }
}

async function checkServer(client: pg.Client, role: SchemaRole): Promise<void> {
  const { rows } = await client.query<{ number: string; name: string }>(
    `select current_setting('server_version_num') as number, current_setting('server_version') as name`,
  );
  if (Number(rows[0]!.number) < OLDEST_SERVER) {
    throw new AgentRuntimeError(
      "SCHEMA_MISMATCH",
      `The database is PostgreSQL ${rows[0]!.name}; 15 or newer is needed. Upgrade it, or name another one in \`supabase.${role}\`.`,
    );
  }
}

/** Whether it was run now. */
async function applyOnce(
  client: pg.Client,
  step: Migration,
  known: readonly Migration[],
): Promise<boolean> {
  if (await isApplied(client, step, known)) return false; // The common case takes no lock.
  await client.query("begin");
  try {
    await client.query(`select pg_advisory_xact_lock(${LOCK})`);
    await client.query(BOOKS);
    const books = await client.query<BookEntry>(
      `select number, name, checksum, program from agent_state.migrations order by number`,
    );
    checkBooks(books.rows, known);
    const entry = books.rows.find(({ number }) => number === step.number);
    if (entry?.checksum === step.checksum) {
      await client.query("commit");
      return false;
    }
    await client.query(step.sql);
    await client.query(entryOf(step));
    await client.query("commit");
    return true;
  } catch (error) {
    await client.query("rollback").catch(() => undefined);
    throw error;
  }
}

async function isApplied(
  client: pg.Client,
  step: Migration,
  known: readonly Migration[],
): Promise<boolean> {
  const exists = await client.query<{ books: string | null }>(
    `select to_regclass('agent_state.migrations')::text as books`,
  );
  if (exists.rows[0]!.books === null) return false;
  const books = await client.query<{ checksum: string; newest: number }>(
    `select (select m.checksum from agent_state.migrations m where m.number = $1) as checksum,
            (select max(m.number) from agent_state.migrations m) as newest`,
    [step.number],
  );
  // A newer database must be refused, so it goes the long way.
  return (
    books.rows[0]!.checksum === step.checksum &&
    known.some(({ number }) => number === books.rows[0]!.newest)
  );
}
