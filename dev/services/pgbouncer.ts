import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { PgbouncerBinary } from "../../scripts/parts.d.mts";
import { giveToServers } from "../../src/embedded/identity.ts";
import type { ServerAddress } from "./address.ts";
import { onFreePort } from "./free-port.ts";
import type { Listening } from "./postgres.ts";
import { startProgram, writePrivately } from "./tools.ts";
import type { Tools } from "./tools.ts";

/**
 * PgBouncer in transaction mode before a PostgreSQL; any database and any role passes through.
 *
 * Kept strict, so that what does not survive transaction pooling shows: no prepared statements, no
 * startup parameter is ignored.
 */
export async function startPgbouncer(
  tools: Tools,
  binary: PgbouncerBinary,
  options: { readonly folder: string; readonly behind: ServerAddress },
): Promise<Listening> {
  const { folder, behind } = options;
  const users = join(folder, "users.txt");
  const file = join(folder, "pgbouncer.ini");
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await giveToServers(tools.identity, folder);
  await writePrivately(tools, users, `"${behind.user}" "${behind.password}"\n`);
  return await onFreePort(async (port) => {
    const settings = {
      listen_addr: "127.0.0.1",
      listen_port: port,
      unix_socket_dir: folder,
      auth_type: "scram-sha-256",
      auth_file: users,
      auth_user: behind.user, // looks up the passwords of all other roles
      pool_mode: "transaction",
      default_pool_size: 10,
      max_client_conn: 1000,
      query_wait_timeout: 20, // seconds; 120 would outlast every test
      server_login_retry: 1, // seconds; a restarted PostgreSQL is found again this fast
      ...(knowsPreparedStatements(binary.version) ? { max_prepared_statements: 0 } : {}),
    };
    const lines = Object.entries(settings).map(([name, value]) => `${name} = ${value}`);
    const database = `* = host='${behind.socketFolder.replaceAll("'", "''")}' port=${behind.port}`;
    const text = ["[databases]", database, "[pgbouncer]", ...lines, ""].join("\n");
    await writePrivately(tools, file, text);
    // PostgreSQL's environment may name libraries that are not PgBouncer's.
    const plain = { ...tools, binaries: { ...tools.binaries, env: {} } };
    const program = startProgram(plain, [binary.file, file]);
    await program.says(/process up/);
    return { address: { ...behind, port, socketFolder: folder }, program };
  });
}

function knowsPreparedStatements(version: string): boolean {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  return major > 1 || minor >= 21;
}
