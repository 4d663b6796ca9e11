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

/** The numbered files, then the functions and the lifecycle tables as one more step. */
export function readMigrations(database: "main"): Migration[] {
  const folder = path.join(packageRoot(), "migrations", database);
  const numbered = sqlFiles(folder).map((name) =>
    migration(Number(name.slice(0, 4)), name, readFileSync(path.join(folder, name), "utf8")),
  );
  const functions = path.join(folder, "functions");
  const sql = sqlFiles(functions).map((name) => readFileSync(path.join(functions, name), "utf8"));
  return [...numbered, migration(0, "functions", [...sql, transitionsSql()].join("\n"))];
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
 */
export function checkBooks(books: readonly BookEntry[], known: readonly Migration[]): void {
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
