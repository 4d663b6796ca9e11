import { randomBytes } from "node:crypto";
import { readdir, readFile, rename, rm, stat } from "node:fs/promises";
import path from "node:path";
import type { Binaries } from "./binaries.ts";
import { runCommand } from "./command.ts";
import { MARKER, readMarker, recordServers, refuse } from "./data-directory.ts";
import { appendDurably, syncPath } from "./durable-file.ts";
import { commandAs, giveToServers } from "./identity.ts";
import type { Identity } from "./identity.ts";
import { DATABASE, SUPERUSER } from "./servers.ts";
import type { ServerName } from "./servers.ts";
import { SETTINGS_FILE } from "./settings.ts";

/** What every cluster of a home is made and run with. */
export interface ClusterTools {
  readonly dataDir: string;
  readonly binaries: Binaries;
  readonly identity: Identity;
  /** PostgreSQL's version, for example "18.4". */
  readonly version: string;
}

/** The servers with a database of their own; the replica has a copy. */
export type OwnerName = Exclude<ServerName, "readonly">;

const CREATE_TIMEOUT_MS = 120_000;
const DRAFT = ".new-";

const REMEDY: Readonly<Record<OwnerName, string>> = {
  main: "rebuild it from the rollback server (`agent_runtime state restore --from rollback`), restore a backup, or name another directory with --data-dir",
  rollback:
    "move that folder away, and a new rollback database is made; what it held comes again from main's history",
};

/** The folder that holds a server's data. */
export function clusterFolder(tools: ClusterTools, name: ServerName): string {
  return path.join(tools.dataDir, name);
}

/**
 * Refuses (DATA_DIRECTORY) data that these binaries cannot serve, changing nothing.
 *
 * @returns whether there is data at all. A first start has none. A main that was there and is gone
 *   is a loss; of the rollback server nothing is lost with it that main's history has not.
 */
export async function checkCluster(tools: ClusterTools, name: OwnerName): Promise<boolean> {
  const folder = clusterFolder(tools, name);
  const found = await stat(folder).catch(() => undefined);
  if (found === undefined) {
    const marker = await readMarker(tools.dataDir);
    if (name !== "main" || marker?.servers.includes(name) !== true) return false;
    throw refuse(`${folder} is gone, though a database was in it`, REMEDY[name]);
  }
  const made = (await readFile(path.join(folder, "PG_VERSION"), "utf8").catch(() => "")).trim();
  if (made === "") throw refuse(`${folder} is damaged (it has no PG_VERSION)`, REMEDY[name]);
  checkMajor(tools, name, made);
  const user = serverUser(tools);
  if (user !== undefined && found.uid !== user) {
    throw refuse(
      `${folder} belongs to uid ${found.uid}, and its server would run as uid ${user}`,
      `start as its owner, or give it over (chown -R ${user} ${tools.dataDir})`,
    );
  }
  return true;
}

/** The number of the user whom the data must belong to. */
export function serverUser(tools: ClusterTools): number | undefined {
  return tools.identity.owner?.uid ?? process.getuid?.();
}

/**
 * Makes a server's data where there is none. It is made under another name and gets its own when it
 * is complete and on disk, so a start that was killed leaves nothing that looks like a database.
 */
export async function createCluster(tools: ClusterTools, name: OwnerName): Promise<void> {
  const folder = clusterFolder(tools, name);
  // Not one name for all: what a killed start began to make may still be at work in its own.
  const draft = `${folder}${DRAFT}${randomBytes(4).toString("hex")}`;
  await giveToServers(tools.identity, tools.dataDir);
  try {
    await initialize(tools, draft);
  } catch (error) {
    await rm(draft, { recursive: true, force: true }).catch(() => undefined);
    throw error;
  }
  await appendDurably(
    path.join(draft, "postgresql.conf"),
    `\ninclude_if_exists = '${SETTINGS_FILE}'\n`,
  );
  await rename(draft, folder);
  await syncPath(tools.dataDir);
  await recordServers(tools.dataDir, [name]);
  await giveToServers(tools.identity, path.join(tools.dataDir, MARKER));
}

/** Removes what starts that were killed left half made. Only for the holder of the lock. */
export async function removeDrafts({ dataDir }: ClusterTools): Promise<void> {
  const names = await readdir(dataDir);
  const drafts = names.filter((name) => /^(main|rollback)\.new(-|$)/.test(name));
  // One that is still being written to goes with a later start.
  const remove = (name: string): Promise<void> =>
    rm(path.join(dataDir, name), { recursive: true, force: true }).catch(() => undefined);
  await Promise.all(drafts.map(remove));
}

async function initialize(tools: ClusterTools, draft: string): Promise<void> {
  const { initdb, postgres } = tools.binaries;
  const auth = ["--auth-local=trust", "--auth-host=reject"]; // The folder of the socket is private.
  const text = ["-E", "UTF8", "--no-locale"];
  const line = [initdb, "-D", draft, "-U", SUPERUSER, ...auth, ...text] as const;
  await runStep(tools, [...line, "--data-checksums", "--no-instructions"]);
  // A refused statement is the caller's to log: at full load thousands a second would fill the log.
  const quiet = `alter database ${DATABASE} set log_min_messages = 'log'`;
  const strict = ["-c", "exit_on_error=on"];
  await runStep(tools, [postgres, "--single", "-D", draft, ...strict, DATABASE], quiet);
}

async function runStep(
  tools: ClusterTools,
  line: readonly [string, ...string[]],
  input?: string,
): Promise<void> {
  const result = await runCommand(commandAs(tools.identity, tools.binaries, line), {
    timeoutMs: CREATE_TIMEOUT_MS,
    ...(input === undefined ? {} : { input }),
  });
  if (result.ok) return;
  throw refuse(
    `the database in ${tools.dataDir} could not be made; ${path.basename(line[0])} says:\n${result.stderr.slice(-2_000)}\n`,
    "look at free space and permissions there, then start again",
  );
}

function checkMajor(tools: ClusterTools, name: OwnerName, made: string): void {
  const major = String(majorOf(tools.version));
  if (made === major) return;
  const wrong = `${clusterFolder(tools, name)} was made by PostgreSQL ${made}, and these binaries are PostgreSQL ${major}`;
  if (name !== "main") throw refuse(wrong, REMEDY[name]);
  throw refuse(
    wrong,
    `start with the binaries of PostgreSQL ${made} (\`embedded.binaries\`), run \`agent_runtime state export\`, ` +
      `then start with PostgreSQL ${major} on a new directory (--data-dir) and run \`agent_runtime state import\``,
  );
}

/** The major version of a version like "18.4". */
export function majorOf(version: string): number {
  return Number.parseInt(version, 10);
}
