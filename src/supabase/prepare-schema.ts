import { checkSchema } from "./check-schema.ts";
import { migrate } from "./migrate.ts";
import type { MigrateResult } from "./migrate.ts";
import { openTransport } from "./transport.ts";
import type { TransportOptions } from "./transport.ts";

/**
 * Brings the schema up to date; over a Data API, which cannot do that, sees that it is.
 *
 * @throws {AgentRuntimeError} SCHEMA_MISMATCH: it cannot be brought, or is not, and what to do. UNAVAILABLE.
 */
export async function prepareSchema(options: TransportOptions): Promise<MigrateResult> {
  const { address } = options;
  if (!("dataApi" in address)) return migrate({ ...options, address });
  const transport = openTransport(options);
  try {
    await checkSchema(transport.reader);
    return { applied: [] };
  } finally {
    await transport.close();
  }
}
