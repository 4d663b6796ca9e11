import { execFileSync, spawn, spawnSync, type ChildProcess } from "node:child_process";
import { chmodSync, chownSync, mkdirSync, writeFileSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { join } from "node:path";
import type { PgbouncerBinary, PostgresBinaries } from "../../scripts/parts.d.mts";
import { until } from "./until.ts";

/** How to reach a started server as its superuser. */
export interface ServerAddress {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  /** Holds the unix socket of the same port; there PostgreSQL asks for no password. */
  readonly socketFolder: string;
}

/** The user that runs servers: both refuse root. */
export interface Owner {
  readonly uid?: number;
  readonly gid?: number;
}

interface Started {
  readonly address: ServerAddress;
  readonly process: ChildProcess;
}

const PORT_TRIES = 5;

/** Us, or, where we are root, the user postgres, or nobody. */
export function serverOwner(): Owner {
  if (process.getuid?.() !== 0) return {};
  const idOf = (flag: string): number => {
    const { status, stdout } = spawnSync("id", [flag, "postgres"], { encoding: "utf8" });
    return status === 0 ? Number(stdout) : 65_534;
  };
  return { uid: idOf("-u"), gid: idOf("-g") };
}

/** A PostgreSQL with an empty data folder: durable, passwords over TCP, trust on its unix socket. */
export async function startPostgres(
  binaries: PostgresBinaries,
  folder: string,
  owner: Owner,
): Promise<Started> {
  const password = crypto.randomUUID();
  const data = join(folder, "data");
  const passwordFile = join(folder, "password");
  writeOwned(passwordFile, password, owner);
  const initdb = ["-D", data, "-U", "postgres", "-E", "UTF8", "--no-locale", "--data-checksums"];
  const auth = ["--auth-local=trust", "--auth-host=scram-sha-256", `--pwfile=${passwordFile}`];
  // --no-sync only for the creation: the server itself syncs every commit.
  execFileSync(join(binaries.bin, "initdb"), [...initdb, ...auth, "--no-sync"], {
    ...owner,
    stdio: "pipe",
  });
  const settings = {
    fsync: "on",
    synchronous_commit: "on",
    max_connections: 200,
    listen_addresses: "127.0.0.1",
    unix_socket_directories: folder,
    shared_buffers: "128MB",
  };
  const args = Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
  return await onFreePort(async (port) => {
    const command = [join(binaries.bin, "postgres"), "-D", data, "-p", String(port), ...args];
    const process = await startServer(command, owner, /ready to accept connections/);
    const address = { host: "127.0.0.1", port, user: "postgres", password, socketFolder: folder };
    return { address, process };
  });
}

/**
 * PgBouncer in transaction mode before a PostgreSQL; any database and any role passes through.
 *
 * Kept strict, so that what does not survive transaction pooling shows: no prepared statements, no
 * startup parameter is ignored.
 */
export async function startPgbouncer(
  binary: PgbouncerBinary,
  behind: ServerAddress,
  options: { readonly folder: string; readonly owner: Owner },
): Promise<Started> {
  const { folder, owner } = options;
  const users = join(folder, "pgbouncer-users.txt");
  const file = join(folder, "pgbouncer.ini");
  const sockets = join(folder, "pgbouncer");
  mkdirSync(sockets);
  own(sockets, owner);
  writeOwned(users, `"${behind.user}" "${behind.password}"\n`, owner);
  return await onFreePort(async (port) => {
    const settings = {
      listen_addr: "127.0.0.1",
      listen_port: port,
      unix_socket_dir: sockets,
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
    const database = `* = host=${behind.socketFolder} port=${behind.port}`;
    writeOwned(file, ["[databases]", database, "[pgbouncer]", ...lines, ""].join("\n"), owner);
    const process = await startServer([binary.file, file], owner, /process up/);
    return { address: { ...behind, port, socketFolder: sockets }, process };
  });
}

function knowsPreparedStatements(version: string): boolean {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  return major > 1 || minor >= 21;
}

/** A free port can be taken by somebody else before the server has it: then with another one. */
async function onFreePort(start: (port: number) => Promise<Started>): Promise<Started> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await start(await freePort());
    } catch (error) {
      if (tries === PORT_TRIES || !/in use/i.test(String(error))) throw error;
    }
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

async function startServer(
  command: readonly string[],
  owner: Owner,
  ready: RegExp,
): Promise<ChildProcess> {
  const [file = "", ...args] = command;
  const server = spawn(file, args, { ...owner, detached: true, stdio: ["ignore", "pipe", "pipe"] });
  let said = "";
  for (const stream of [server.stdout, server.stderr]) {
    stream.on("data", (chunk: Buffer) => (said = (said + chunk.toString()).slice(-10_000)));
  }
  const isOver = (): boolean => server.exitCode !== null || server.signalCode !== null;
  await until(() => ready.test(said) || isOver(), { what: `the start of ${file}` });
  if (isOver()) throw new Error(`${file} did not start:\n${said}`);
  return server;
}

function writeOwned(file: string, text: string, owner: Owner): void {
  writeFileSync(file, text);
  chmodSync(file, 0o600);
  own(file, owner);
}

function own(file: string, { uid, gid }: Owner): void {
  if (uid !== undefined && gid !== undefined) chownSync(file, uid, gid);
}
