import { AgentRuntimeError } from "../state/errors.ts";
import type { Caller } from "./caller.ts";
import { checkBooks, readMigrations } from "./migrations.ts";
import type { SchemaRole } from "./migrations.ts";
import { SCHEMA_ADVICE } from "./schema-advice.ts";
import { readBooks } from "./sql/read-migrations.ts";

/**
 * Sees that a database which this program cannot migrate has the schema that it needs.
 *
 * @throws {AgentRuntimeError} SCHEMA_MISMATCH: it has none, or an older or newer one, and what to do about it.
 */
export async function checkSchema(reader: Caller, role: SchemaRole): Promise<void> {
  const known = readMigrations(role);
  const books = await readBooks(reader);
  checkBooks(books, known);
  const missing = known.find(
    (step) =>
      !books.some(({ number, checksum }) => number === step.number && checksum === step.checksum),
  );
  if (missing === undefined) return;
  const program = books.find(({ number }) => number === 0)?.program ?? "an unknown version";
  throw new AgentRuntimeError(
    "SCHEMA_MISMATCH",
    `The schema of the database is older than this program: ${program} made it, and it lacks ${missing.name}. ${SCHEMA_ADVICE}`,
  );
}
