import { createHash } from "node:crypto";
import { readFileSync, readdirSync } from "node:fs";
import path from "node:path";
import { AgentRuntimeError } from "../state/errors.ts";
import { lifecycleRows, LIFECYCLES } from "../state/lifecycle.ts";
import { packageRoot, packageVersion } from "../service/package-root.ts";

/** Makes the books, where each step that was run has its row. */
export const BOOKS = `create schema if not exists agent_state;
create table if not exists agent_state.migrations (
  number     integer primary key,
  name       text        not null,
  checksum   text        not null,
  program    text        not null,
  applied_at timestamptz not null default clock_timestamp()
)`;

/** One step of making a schema. */
export interface Migration {
  /** 0: the functions, which are replaced whenever they differ; the numbered files say what they are built on. */
  readonly number: number;
  readonly name: string;
  readonly sql: string;
  readonly checksum: string;
}

/** What a database's books say of one step. */
export interface BookEntry {
  readonly number: number;
  readonly name: string;
  readonly checksum: string;
  /** The version of the program that ran it. */
  readonly program: string;
}

/** What a database is migrated for. A replica of main needs nothing of its own. */
export type SchemaRole = "main" | "rollback";

/** Functions of main that the rollback database has as well: documents and digests, doors and who may open them. */
const SHARED = /^(1[0-3]|20|24|44_describe|45_read_migrations|85|89|91|92)/;

/** The numbered files, then the functions, and main's lifecycle tables, as one more step. */
export function readMigrations(role: SchemaRole): Migration[] {
  const folder = path.join(packageRoot(), "migrations", role);
  const numbered = sqlFiles(folder).map((name) =>
    migration(Number(name.slice(0, 4)), name, readFileSync(path.join(folder, name), "utf8")),
  );
  const sql = functionFiles(role).map((file) => readFileSync(file, "utf8"));
  const tables = role === "main" ? [transitionsSql()] : [];
  return [...numbered, migration(0, "functions", [...sql, ...tables].join("\n"))];
}

/** In the order of their names, wherever they are. */
function functionFiles(role: SchemaRole): string[] {
  const of = (database: SchemaRole): string[] => {
    const folder = path.join(packageRoot(), "migrations", database, "functions");
    return sqlFiles(folder).map((name) => path.join(folder, name));
  };
  if (role === "main") return of("main");
  const shared = of("main").filter((file) => SHARED.test(path.basename(file)));
  return [...of(role), ...shared].toSorted((left, right) =>
    path.basename(left) < path.basename(right) ? -1 : 1,
  );
}

/** The statement that enters a step into the books. All of its texts are this program's own. */
export function entryOf({ number, name, checksum }: Migration): string {
  return `insert into agent_state.migrations (number, name, checksum, program)
values (${number}, '${name}', '${checksum}', '${packageVersion()}')
on conflict (number) do update set checksum = excluded.checksum, program = excluded.program, applied_at = clock_timestamp()`;
}

/**
 * Finds out whether this program may bring a database up to date.
 *
 * @throws {AgentRuntimeError} SCHEMA_MISMATCH: it is newer than this program, or made by other files.
 *   RESTORE_UNFINISHED: not all of it is there.
 */
export function checkBooks(books: readonly BookEntry[], known: readonly Migration[]): void {
  refuseOtherRole(books, known);
  refuseHalfRestored(books);
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

/** The first file of each role: what a database was made for. */
const MADE_FOR: Readonly<Record<string, SchemaRole>> = {
  "0001_state.sql": "main",
  "0001_copies.sql": "rollback",
};

function refuseOtherRole(books: readonly BookEntry[], known: readonly Migration[]): void {
  const is = MADE_FOR[firstName(books)];
  const wanted = MADE_FOR[firstName(known)];
  if (is === undefined || is === wanted) return;
  throw new AgentRuntimeError(
    "SCHEMA_MISMATCH",
    `This is a ${is} database, and it cannot be the ${wanted} database as well: what damages one must leave the other. ` +
      `Name another database in \`supabase.${wanted}\`; nothing was changed.`,
  );
}

/** Stands in the books of a main while it is rebuilt: an older program does not know the step, and refuses as well. */
export const RESTORE_STEP = 1_000_000;

function refuseHalfRestored(books: readonly BookEntry[]): void {
  if (!books.some(({ number }) => number === RESTORE_STEP)) return;
  throw new AgentRuntimeError(
    "RESTORE_UNFINISHED",
    "This main is being rebuilt from the rollback database, and not all of it is there yet. " +
      "Run `agent_runtime state restore --from rollback` again: it continues where it stopped.",
  );
}

function firstName(steps: readonly { readonly number: number; readonly name: string }[]): string {
  return steps.find(({ number }) => number === 1)?.name ?? "";
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

/** Whether a version (`major.minor.patch`) comes after another. */
function isNewer(version: string, than: string): boolean {
  const left = version.split(".").map(Number);
  const right = than.split(".").map(Number);
  const place = left.findIndex((part, index) => part !== right[index]);
  return place >= 0 && left[place]! > (right[place] ?? 0);
}
