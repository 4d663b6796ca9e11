import { randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { giveToServers } from "../../src/embedded/identity.ts";
import type { ServerAddress } from "./address.ts";
import { onFreePort } from "./free-port.ts";
import type { Program } from "./program.ts";
import { startProgram, writePrivately } from "./tools.ts";
import type { Tools } from "./tools.ts";

export type Settings = Readonly<Record<string, string | number>>;

/** A server that listens, and where. */
export interface Listening {
  readonly address: ServerAddress;
  readonly program: Program;
}

const USER = "postgres";

const DURABLE: Settings = {
  fsync: "on",
  synchronous_commit: "on",
  wal_level: "replica",
  wal_keep_size: "1GB", // a replica that was away finds here what it missed
};

const ON_TCP: Settings = {
  listen_addresses: "127.0.0.1",
  max_connections: 200,
  shared_buffers: "128MB",
};

/**
 * Makes an empty cluster in `folder`/data, where none is: with checksums, a password over TCP, and
 * trust on its unix socket.
 */
export async function createCluster(tools: Tools, folder: string): Promise<void> {
  const data = join(folder, "data");
  if (existsSync(data)) return;
  const draft = join(folder, "data.new"); // A creation that was cut short leaves nothing called data.
  await rm(draft, { recursive: true, force: true });
  await makeFolder(tools, folder);
  await writePrivately(tools, join(folder, "password"), randomUUID());
  const kind = ["-U", USER, "-E", "UTF8", "--no-locale", "--data-checksums"];
  const local = ["--auth-local=trust", "--auth-host=scram-sha-256"];
  const password = `--pwfile=${join(folder, "password")}`;
  // --no-sync only for the creation: the server itself syncs every commit.
  const args = ["-D", draft, ...kind, ...local, password, "--no-sync"];
  await startProgram(tools, [tools.binaries.initdb, ...args]).output();
  await rename(draft, data);
}

/**
 * Makes a cluster in `folder` that will follow the one in `from`, which must not be running.
 *
 * The files of a server that is down are a base for a replica as they are: no base backup is needed,
 * nor the program for it, which the npm binaries lack.
 */
export async function copyCluster(tools: Tools, from: string, folder: string): Promise<void> {
  const [origin, data] = [join(from, "data"), join(folder, "data")];
  for (const each of [origin, data]) await checkStopped(each);
  await rm(data, { recursive: true, force: true });
  await makeFolder(tools, folder);
  await startProgram(tools, ["cp", "-a", origin, data]).output();
  await rm(join(data, "postmaster.pid"), { force: true }); // left by a server that was killed
  await writePrivately(tools, join(data, "standby.signal"), "");
}

/** Settings that make a copied cluster follow the server whose socket is in `folder`. */
export function following(folder: string, port: number): Settings {
  return {
    primary_conninfo: `host='${folder.replaceAll(/['\\]/g, String.raw`\$&`)}' port=${port} user=${USER}`,
    wal_retrieve_retry_interval: "200ms", // a primary that was restarted is found again this fast
    max_standby_streaming_delay: "1s", // one forgotten transaction must not hold replay up for long
  };
}

/** Starts the server of a cluster; resolves when it accepts connections. */
export async function startPostgres(
  tools: Tools,
  folder: string,
  settings: Settings,
): Promise<Program> {
  const socketFolder = `"${folder.replaceAll('"', '""')}"`;
  const all = { ...DURABLE, unix_socket_directories: socketFolder, ...settings };
  const args = Object.entries(all).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
  const data = join(folder, "data");
  const program = startProgram(tools, [tools.binaries.postgres, "-D", data, ...args]);
  await program.says(/ready to accept (read-only )?connections/);
  return program;
}

/** Starts the server of a cluster on a free TCP port; a copied cluster has the password of its origin. */
export async function startOnTcp(
  tools: Tools,
  folder: string,
  options: { readonly settings?: Settings; readonly password?: string } = {},
): Promise<Listening> {
  const { settings = {} } = options;
  const password = options.password ?? (await readFile(join(folder, "password"), "utf8"));
  return await onFreePort(async (port) => {
    const program = await startPostgres(tools, folder, { ...ON_TCP, ...settings, port });
    const address = { host: "127.0.0.1", port, user: USER, password, socketFolder: folder };
    return { address, program };
  });
}

async function makeFolder(tools: Tools, folder: string): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await giveToServers(tools.identity, folder);
}

async function checkStopped(data: string): Promise<void> {
  const file = join(data, "postmaster.pid");
  const pid = Number.parseInt(await readFile(file, "utf8").catch(() => ""), 10);
  if (!(pid > 1) || !isAlive(pid)) return;
  throw new Error(
    `process ${pid} serves ${data}; stop it, or, if it is no PostgreSQL, remove ${file}`,
  );
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM"; // alive, and somebody else's
  }
}
