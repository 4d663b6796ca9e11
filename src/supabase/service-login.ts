import pg from "pg";
import { clientConfig } from "./connection.ts";
import type { ConnectionOptions } from "./connection.ts";
import type { SchemaRole } from "./migrations.ts";
import { failureOf } from "./failure.ts";

/** The login that the service uses on a database of its own. */
export const SERVICE_LOGIN = "agent_runtime";

/** The roles that a service's login needs on each database. */
export const GROUPS: Readonly<Record<SchemaRole, string>> = {
  main: "agent_state_reader, agent_state_writer, agent_state_operator",
  rollback: "agent_state_rollback",
};

/** Makes the service's login: it may call the functions, and touch nothing itself. */
export async function createServiceLogin(
  owner: ConnectionOptions,
  role: SchemaRole = "main",
): Promise<void> {
  const client = new pg.Client(clientConfig(owner));
  client.on("error", () => undefined);
  try {
    await client.connect();
    const { rows } = await client.query(`select from pg_roles where rolname = $1`, [SERVICE_LOGIN]);
    if (rows.length > 0) return;
    await client.query(`create role ${SERVICE_LOGIN} login in role ${GROUPS[role]}`);
  } catch (error) {
    throw failureOf(error, false);
  } finally {
    await client.end().catch(() => undefined);
  }
}
