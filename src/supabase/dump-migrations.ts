import { mkdir, readdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { packageVersion } from "../service/package-root.ts";
import { BOOKS, entryOf, readMigrations } from "./migrations.ts";
import type { Migration, SchemaRole } from "./migrations.ts";

/** Which files were written, and which were there from an earlier dump. */
export interface DumpResult {
  readonly written: readonly string[];
  readonly kept: readonly string[];
}

/**
 * Writes the schema as files for `supabase/migrations`, or for any other tool that runs SQL files by name.
 *
 * Each is named `<timestamp>_agent_state_<step>.sql`, later ones later than all that the folder holds. A step whose file
 * is there is left alone, so that after an upgrade only what is new is added. Run, they leave the database as `migrate`
 * would, its books included.
 */
export async function dumpMigrations(
  folder: string,
  now: Date,
  role: SchemaRole = "main",
): Promise<DumpResult> {
  await mkdir(folder, { recursive: true });
  const there = (await readdir(folder)).filter((name) => name.endsWith(".sql")).toSorted();
  const written: string[] = [];
  const kept: string[] = [];
  let stamp = Math.max(now.getTime(), ...there.map(timeOf).map((time) => time + 1_000));
  for (const step of readMigrations(role)) {
    const ending = `_agent_state_${titleOf(step)}.sql`;
    const file = there.find((name) => name.endsWith(ending));
    if (file !== undefined) {
      kept.push(file);
      continue;
    }
    const name = digits(stamp) + ending;
    stamp += 1_000;
    await writeFile(path.join(folder, name), contentOf(step), { flag: "wx" });
    written.push(name);
  }
  return { written, kept };
}

/** What a file does, and when: functions come again whenever they differ, so their checksum tells them apart. */
function titleOf({ number, name, checksum }: Migration): string {
  return number === 0 ? `${name}_${checksum.slice(0, 12)}` : name.replace(/\.sql$/, "");
}

function contentOf(step: Migration): string {
  return `-- agent-runtime-state ${packageVersion()}: ${step.name}
-- Run it as one transaction, after the files before it: supabase db push, or psql -1 -v ON_ERROR_STOP=1 -f.

${BOOKS};

${step.sql.trimEnd()}

${entryOf(step)};
`;
}

/** 20261122093000, as the Supabase CLI names migrations. */
function digits(time: number): string {
  return new Date(time).toISOString().replaceAll(/\D/g, "").slice(0, 14);
}

function timeOf(name: string): number {
  const match = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)_/.exec(name);
  if (match === null) return 0;
  const [year, month, day, hour, minute, second] = match.slice(1).map(Number) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  const time = Date.UTC(year, month - 1, day, hour, minute, second);
  return Number.isNaN(time) ? 0 : time;
}
