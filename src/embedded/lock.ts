import { randomBytes } from "node:crypto";
import { link, readdir, rm } from "node:fs/promises";
import net from "node:net";
import path from "node:path";
import { AgentRuntimeError } from "../state/errors.ts";
import { errorCode } from "./error-code.ts";

/** The right to be the one service of a data directory. The system takes it back when we die. */
export interface DirectoryLock {
  release(): Promise<void>;
}

interface Holder {
  readonly alive: boolean;
  readonly pid?: string;
}

const ANSWER_TIMEOUT_MS = 2_000;
const MAX_ATTEMPTS = 100;
const NAME = /^lock\.(\d+)$/;

/**
 * Takes the lock of a data directory, or throws DATA_DIRECTORY with the pid of who holds it.
 *
 * The lock is a listening unix socket named `lock.<number>`: a kill -9 closes it, a second starter
 * that connects hears the holder's pid. A stale one is never removed to make room, as two who do
 * that at once would end up with a lock each; the next number is taken instead. Only the holder of
 * a higher number removes lower ones, and the highest always stays, so a number is never given
 * twice, and who took a number that was overtaken meanwhile sees that by looking again.
 *
 * @param folder the socket folder, on a disk of this machine.
 * @param dataDir for messages.
 */
export async function lockDirectory(folder: string, dataDir: string): Promise<DirectoryLock> {
  for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt += 1) {
    const newest = await newestNumber(folder);
    if (newest > 0) {
      const holder = await askHolder(path.join(folder, `lock.${newest}`));
      if (holder.alive) throw inUse(dataDir, holder.pid);
    }
    const lock = await takeNumber(folder, newest + 1);
    if (lock !== undefined) return lock;
  }
  throw inUse(dataDir, undefined);
}

/** Whether somebody holds the lock. */
export async function isLocked(folder: string): Promise<boolean> {
  const newest = await newestNumber(folder);
  return newest > 0 && (await askHolder(path.join(folder, `lock.${newest}`))).alive;
}

async function takeNumber(folder: string, number: number): Promise<DirectoryLock | undefined> {
  const name = `lock.${number}`;
  const draft = path.join(folder, `lock.new-${randomBytes(4).toString("hex")}`);
  // It listens before it gets its name: a socket that is bound but does not listen looks dead.
  const listening = await listen(draft);
  const taken = await link(draft, path.join(folder, name)).then(
    () => true,
    (error: unknown) => {
      // The number is taken, or a new holder swept the draft away: somebody else was quicker.
      if (["EEXIST", "ENOENT"].includes(errorCode(error))) return false;
      throw error;
    },
  );
  await rm(draft, { force: true });
  if (!taken) {
    await listening.release();
    return undefined;
  }
  if ((await newestNumber(folder)) !== number) {
    await rm(path.join(folder, name), { force: true });
    await listening.release();
    return undefined;
  }
  await sweep(folder, number);
  return listening;
}

async function sweep(folder: string, number: number): Promise<void> {
  for (const name of await readdir(folder)) {
    const older = Number(NAME.exec(name)?.[1] ?? Number.POSITIVE_INFINITY) < number;
    if (older || name.startsWith("lock.new-")) await rm(path.join(folder, name), { force: true });
  }
}

async function newestNumber(folder: string): Promise<number> {
  const numbers = (await readdir(folder)).map((name) => Number(NAME.exec(name)?.[1] ?? 0));
  return Math.max(0, ...numbers);
}

function listen(socket: string): Promise<DirectoryLock> {
  const connections = new Set<net.Socket>();
  const server = net.createServer((connection) => {
    connections.add(connection);
    connection.on("error", () => {}).on("close", () => connections.delete(connection));
    connection.end(String(process.pid));
  });
  const release = (): Promise<void> =>
    new Promise((resolve) => {
      server.close(() => resolve());
      for (const connection of connections) connection.destroy();
    });
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(socket, () => {
      server.unref(); // The servers keep the process alive, not their lock.
      resolve({ release });
    });
  });
}

/** Whoever accepts a connection is alive, even where it is too busy to say its pid. */
function askHolder(socket: string): Promise<Holder> {
  return new Promise((resolve) => {
    let pid = "";
    let alive = false;
    const connection = net.connect(socket);
    const finish = (): void => {
      connection.destroy();
      resolve({ alive, ...(pid === "" ? {} : { pid }) });
    };
    connection.setEncoding("utf8").setTimeout(ANSWER_TIMEOUT_MS, finish);
    connection.once("connect", () => (alive = true));
    connection.on("data", (text: string) => (pid += text));
    connection.once("close", finish);
    connection.once("error", (error) => {
      // Nobody listens, or a new holder swept it away; anything else may be somebody alive.
      alive ||= !["ECONNREFUSED", "ENOENT"].includes(errorCode(error));
      finish();
    });
  });
}

function inUse(dataDir: string, pid: string | undefined): AgentRuntimeError {
  const who =
    pid === undefined ? "another service, which does not answer" : `the service with pid ${pid}`;
  const stop = pid === undefined ? "stop it" : `stop it (kill ${pid})`;
  return new AgentRuntimeError(
    "DATA_DIRECTORY",
    `${dataDir} is in use by ${who}: ${stop}, or start this one with another --data-dir`,
  );
}
