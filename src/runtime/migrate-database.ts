import { isDataApi } from "../config/database-kinds.ts";
import { systemClock } from "../service/clock.ts";
import { AgentRuntimeError } from "../state/errors.ts";
import { dumpMigrations } from "../supabase/dump-migrations.ts";
import type { DumpResult } from "../supabase/dump-migrations.ts";
import { migrate } from "../supabase/migrate.ts";
import type { MigrateResult } from "../supabase/migrate.ts";
import type { SchemaRole } from "../supabase/migrations.ts";
import { SCHEMA_ADVICE } from "../supabase/schema-advice.ts";

const CONNECT_TIMEOUT_MS = 10_000;
const STATEMENT_TIMEOUT_MS = 600_000;

/**
 * Installs or upgrades the schema of a database.
 *
 * @param url as `supabase.main` or `supabase.rollback` has it.
 * @throws {AgentRuntimeError} INVALID_CONFIG: it is empty, or that of a Data API. SCHEMA_MISMATCH, UNAVAILABLE.
 */
export function migrateDatabase(url: string, role: SchemaRole = "main"): Promise<MigrateResult> {
  if (url === "") {
    throw unfit(
      role,
      "There is no database to migrate: the embedded servers are migrated when they start. " +
        "Name one with --database-url, or in `" +
        `supabase.${role}` +
        "`.",
    );
  }
  if (isDataApi(url)) throw unfit(role, SCHEMA_ADVICE);
  const way = { connectTimeoutMs: CONNECT_TIMEOUT_MS, statementTimeoutMs: STATEMENT_TIMEOUT_MS };
  return migrate({ ...way, address: { url } }, role);
}

/** Writes the schema as files for `supabase/migrations`. */
export function dumpSchema(folder: string, role: SchemaRole): Promise<DumpResult> {
  return dumpMigrations(folder, new Date(systemClock.now()), role);
}

function unfit(role: SchemaRole, sentence: string): AgentRuntimeError {
  return new AgentRuntimeError("INVALID_CONFIG", sentence, { field: `supabase.${role}` });
}
