import pg from "pg";
import { clientConfig } from "./connection.ts";
import type { ConnectionOptions } from "./connection.ts";
import { failureOf } from "./failure.ts";

/** The login that the service uses on a database of its own. */
export const SERVICE_LOGIN = "agent_runtime";

/** Makes the service's login: it may call the functions, and touch nothing itself. */
export async function createServiceLogin(owner: ConnectionOptions): Promise<void> {
  const client = new pg.Client(clientConfig(owner));
  client.on("error", () => undefined);
  try {
    await client.connect();
    const { rows } = await client.query(`select from pg_roles where rolname = $1`, [SERVICE_LOGIN]);
    if (rows.length > 0) return;
    await client.query(
      `create role ${SERVICE_LOGIN} login in role agent_state_reader, agent_state_writer, agent_state_operator`,
    );
  } catch (error) {
    throw failureOf(error, false);
  } finally {
    await client.end().catch(() => undefined);
  }
}
