import { checkSchema } from "./check-schema.ts";
import { migrate } from "./migrate.ts";
import type { MigrateResult } from "./migrate.ts";
import type { SchemaRole } from "./migrations.ts";
import { openTransport } from "./transport.ts";
import type { TransportOptions } from "./transport.ts";

/**
 * Brings the schema up to date; over a Data API, which cannot do that, sees that it is.
 *
 * @throws {AgentRuntimeError} SCHEMA_MISMATCH: it cannot be brought, or is not, and what to do. UNAVAILABLE.
 */
export async function prepareSchema(
  options: TransportOptions,
  role: SchemaRole = "main",
): Promise<MigrateResult> {
  const { address } = options;
  if (!("dataApi" in address)) return migrate({ ...options, address }, role);
  const transport = openTransport(options);
  try {
    await checkSchema(transport.reader, role);
    return { applied: [] };
  } finally {
    await transport.close();
  }
}
