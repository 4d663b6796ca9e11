import type { Caller, Operation } from "../caller.ts";
import type { BookEntry } from "../migrations.ts";
import { text } from "../rows.ts";

const READ_MIGRATIONS = {
  fn: "read_migrations",
  parameters: {},
  columns: ["number", "name", "checksum", "program"],
  writes: false,
} as const satisfies Operation;

/** The steps that made the schema of a database. */
export async function readBooks(reader: Caller): Promise<BookEntry[]> {
  const rows = await reader.call(READ_MIGRATIONS, {});
  return rows.map((row) => ({
    number: Number(row[0]),
    name: text(row, 1),
    checksum: text(row, 2),
    program: text(row, 3),
  }));
}
