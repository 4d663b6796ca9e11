import { createHash } from "node:crypto";
import { readFileSync, readdirSync } from "node:fs";
import path from "node:path";
import pg from "pg";
import { AgentRuntimeError } from "../state/errors.ts";
import { lifecycleRows, LIFECYCLES } from "../state/lifecycle.ts";
import { packageRoot, packageVersion } from "../service/package-root.ts";
import { clientConfig } from "./connection.ts";
import type { ConnectionOptions } from "./connection.ts";
import { failureOf } from "./failure.ts";

/** Any number: it only has to be the same in every version of this program. */
const LOCK = 7_130_421_988;

const OLDEST_SERVER = 150_000;

const BOOKS = `create schema if not exists agent_state;
create table if not exists agent_state.migrations (
  number     integer primary key,
  name       text        not null,
  checksum   text        not null,
  program    text        not null,
  applied_at timestamptz not null default clock_timestamp()
)`;

interface Migration {
  readonly number: number;
  readonly name: string;
  readonly sql: string;
  readonly checksum: string;
}

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
 *   by other files, or is older than PostgreSQL 15. UNAVAILABLE: it cannot be reached.
 */
export async function migrate(options: ConnectionOptions): Promise<MigrateResult> {
  const client = new pg.Client({ ...clientConfig(options), query_timeout: 600_000 });
  client.on("error", () => undefined);
  try {
    await client.connect();
    await checkServer(client);
    const applied: string[] = [];
    const steps = readMigrations("main");
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

/** The numbered files, then the functions and the lifecycle tables as one more step. */
function readMigrations(database: "main"): Migration[] {
  const folder = path.join(packageRoot(), "migrations", database);
  const numbered = sqlFiles(folder).map((name) =>
    migration(Number(name.slice(0, 4)), name, readFileSync(path.join(folder, name), "utf8")),
  );
  const functions = path.join(folder, "functions");
  const sql = sqlFiles(functions).map((name) => readFileSync(path.join(functions, name), "utf8"));
  // Number 0 is replaced whenever it differs; the numbered files say what it is built on.
  return [...numbered, migration(0, "functions", [...sql, transitionsSql()].join("\n"))];
}

function sqlFiles(folder: string): string[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith(".sql"))
    .toSorted();
}

function migration(number: number, name: string, sql: string): Migration {
  return { number, name, sql, checksum: createHash("sha256").update(sql).digest("hex") };
}

/** The lifecycle tables of src/state/lifecycle.ts as rows; phases are words of this program, never input. */
function transitionsSql(): string {
  const rows = lifecycleRows().map(({ type, from, to, via }) => {
    const isFirst = from === null && LIFECYCLES[type as keyof typeof LIFECYCLES].first === to;
    return `('${type}', '${from ?? ""}', '${to}', '${via}', ${isFirst})`;
  });
  return `delete from agent_state.transitions where true;
insert into agent_state.transitions (type, from_phase, to_phase, via, is_first) values\n${rows.join(",\n")};`;
}

async function checkServer(client: pg.Client): Promise<void> {
  const { rows } = await client.query<{ number: string; name: string }>(
    `select current_setting('server_version_num') as number, current_setting('server_version') as name`,
  );
  if (Number(rows[0]!.number) < OLDEST_SERVER) {
    throw new AgentRuntimeError(
      "SCHEMA_MISMATCH",
      `The database is PostgreSQL ${rows[0]!.name}; 15 or newer is needed. Upgrade it, or name another one in \`supabase.main\`.`,
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
    const books = await client.query<{
      number: number;
      name: string;
      checksum: string;
      program: string;
    }>(`select number, name, checksum, program from agent_state.migrations order by number`);
    checkBooks(books.rows, known);
    const entry = books.rows.find(({ number }) => number === step.number);
    if (entry?.checksum === step.checksum) {
      await client.query("commit");
      return false;
    }
    await client.query(step.sql);
    await client.query(
      `insert into agent_state.migrations (number, name, checksum, program) values ($1, $2, $3, $4)
       on conflict (number) do update set checksum = excluded.checksum, program = excluded.program, applied_at = clock_timestamp()`,
      [step.number, step.name, step.checksum, packageVersion()],
    );
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

function checkBooks(
  books: readonly {
    readonly number: number;
    readonly name: string;
    readonly checksum: string;
    readonly program: string;
  }[],
  known: readonly Migration[],
): void {
  for (const { number, name, checksum, program } of books) {
    const file = known.find((candidate) => candidate.number === number);
    if (file === undefined) {
      throw new AgentRuntimeError(
        "SCHEMA_MISMATCH",
        `The database was migrated by a newer version of this program (it has ${name}). Start that version, or a newer one; nothing was changed.`,
      );
    }
    if (number === 0 && checksum !== file.checksum && isNewer(program, packageVersion())) {
      throw new AgentRuntimeError(
        "SCHEMA_MISMATCH",
        `The database has the functions of version ${program}, this program is ${packageVersion()}. Start version ${program} or a newer one; nothing was changed.`,
      );
    }
    if (number > 0 && checksum !== file.checksum) {
      throw new AgentRuntimeError(
        "SCHEMA_MISMATCH",
        `The database was migrated with another text of ${name} than this program has. Start the version that made it, or restore the file; nothing was changed.`,
      );
    }
  }
}

/** Whether a version (`major.minor.patch`) comes after another. */
function isNewer(version: string, than: string): boolean {
  const left = version.split(".").map(Number);
  const right = than.split(".").map(Number);
  const place = left.findIndex((part, index) => part !== right[index]);
  return place >= 0 && left[place]! > (right[place] ?? 0);
}
