import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { systemClock } from "../service/clock.ts";
import { AgentRuntimeError } from "../state/errors.ts";
import { clientConfig } from "./connection.ts";
import type { ConnectionOptions } from "./connection.ts";
import { failureOf, sqlState } from "./failure.ts";
import { BOOKS, checkBooks, entryOf, readMigrations } from "./migrations.ts";
import type { BookEntry, Migration, SchemaRole } from "./migrations.ts";
import { GROUPS } from "./service-login.ts";

/** Any number: it only has to be the same in every version of this program. */
const LOCK = 7_130_421_988;

const OLDEST_SERVER = 150_000;

/**
 * How long a step waits for a table. While it waits, everyone who comes after it waits too, so it soon steps aside
 * and tries again: a backup or a forgotten transaction must not stop every writer. Less than PostgreSQL's
 * `deadlock_timeout` (1 s), so that no writer is sacrificed for it.
 */
const LOCK_MS = 900;
const LOCK_PAUSE_MS = 1_000;

/** Lock not available, deadlock. */
const LOCKED = new Set<string | undefined>(["55P03", "40P01"]);

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
  const { statementTimeoutMs: patienceMs } = options; // for tables that others hold; a step itself may take longer
  const client = new pg.Client({ ...clientConfig(options), query_timeout: 600_000 });
  client.on("error", () => undefined);
  try {
    await client.connect();
    await checkServer(client, role);
    const applied: string[] = [];
    const steps = readMigrations(role);
    for (const step of steps) {
      const isNew = await applyOnce(client, step, { known: steps, patienceMs });
      if (isNew) applied.push(step.name);
    }
    return { applied };
  } catch (error) {
    throw sqlState(error) === "42501" ? mayNot(error, role) : failureOf(error, false);
  } finally {
    await client.end().catch(() => undefined);
  }
}

function mayNot(error: unknown, role: SchemaRole): AgentRuntimeError {
  return new AgentRuntimeError(
    "UNAVAILABLE",
    `The schema of the ${role} database is not up to date, or not open to this login, which may not change it (42501: ${(error as Error).message}). ` +
      `As its owner, run \`agent_runtime state migrate --role ${role} --database-url postgres://...\`, and grant this login ${GROUPS[role]}; nothing was changed.`,
    { cause: error, mayHaveHappened: false },
  );
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

interface Applying {
  readonly known: readonly Migration[];
  readonly patienceMs: number;
}

/** Whether it was run now. */
async function applyOnce(
  client: pg.Client,
  step: Migration,
  { known, patienceMs }: Applying,
): Promise<boolean> {
  if (await isApplied(client, step, known)) return false; // The common case takes no lock.
  const giveUpAt = systemClock.monotonicMs() + patienceMs;
  for (;;) {
    try {
      return await apply(client, step, known);
    } catch (error) {
      if (!LOCKED.has(sqlState(error))) throw error;
      if (systemClock.monotonicMs() >= giveUpAt) throw await stillLocked(client, step, error);
      await sleep(LOCK_PAUSE_MS);
    }
  }
}

async function apply(
  client: pg.Client,
  step: Migration,
  known: readonly Migration[],
): Promise<boolean> {
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
    await client.query(`set local lock_timeout = ${LOCK_MS}`);
    await client.query(step.sql);
    await client.query(entryOf(step));
    await client.query("commit");
    return true;
  } catch (error) {
    await client.query("rollback").catch(() => undefined);
    throw error;
  }
}

/** Names who holds the tables, the oldest transaction first. */
async function stillLocked(
  client: pg.Client,
  step: Migration,
  cause: unknown,
): Promise<AgentRuntimeError> {
  const { rows } = await client.query<{ who: string }>(
    `select format('process %s (%s, since %s)', a.pid, coalesce(nullif(a.application_name, ''), a.usename), a.xact_start) as who
       from pg_stat_activity a
      where a.pid <> pg_backend_pid()
        and a.pid in (select l.pid from pg_locks l join pg_class c on c.oid = l.relation
                       where l.granted and c.relnamespace = 'agent_state'::regnamespace)
      order by a.xact_start limit 3`,
  );
  const held = rows.map(({ who }) => who).join(", ");
  return new AgentRuntimeError(
    "UNAVAILABLE",
    `${step.name} could not lock the tables that it changes: others hold them (${held === "" ? "none just now" : held}). ` +
      "Wait until they have ended, or end them with pg_terminate_backend; nothing was changed.",
    { cause, mayHaveHappened: false, retryAfterMs: LOCK_PAUSE_MS },
  );
}

/** Asks by the function, as the books are closed to all but their owner: so a login with no right to migrate sees that it need not. */
async function isApplied(
  client: pg.Client,
  step: Migration,
  known: readonly Migration[],
): Promise<boolean> {
  const asks = await client.query<{ fn: string | null }>(
    `select to_regprocedure('agent_state_api.read_migrations()')::text as fn`,
  );
  if (asks.rows[0]!.fn === null) return false;
  const { rows } = await client.query<BookEntry>(
    `select number, name, checksum, program from agent_state_api.read_migrations()`,
  );
  const newest = rows.at(-1);
  // A newer database must be refused, so it goes the long way.
  return (
    rows.some(({ number, checksum }) => number === step.number && checksum === step.checksum) &&
    known.some(({ number }) => number === newest!.number)
  );
}
