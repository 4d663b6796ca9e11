import { readFile, realpath, statfs } from "node:fs/promises";
import path from "node:path";
import type { Logger } from "../service/log-port.ts";
import { clusterFolder, majorOf } from "./cluster.ts";
import type { ClusterTools } from "./cluster.ts";
import { runCommand } from "./command.ts";
import { writeFileDurably } from "./durable-file.ts";
import { commandAs, giveToServers } from "./identity.ts";
import { ServerLog } from "./server-log.ts";
import { serverAddress, SUPERUSER } from "./servers.ts";
import type { ServerName } from "./servers.ts";
import { fixedSettings, SETTINGS_FILE, settingsText } from "./settings.ts";
import type { SettingsInput } from "./settings.ts";
import { Supervisor } from "./supervisor.ts";

/** What the servers of an open home are started with. */
export interface Launch {
  readonly tools: ClusterTools;
  /** The path of the sockets, short enough for them. */
  readonly runFolder: string;
  readonly settings: Omit<SettingsInput, "name" | "mainConnection">;
  readonly log: Logger;
  /** Every connection to that server was cut; never throws. */
  readonly onRestarted: (name: ServerName) => void;
}

const PROBE_TIMEOUT_MS = 10_000;
const MIB = 1024 * 1024;
/** A tenth of the disk, and no more than this, may hold log for a replica that is away. */
const MOST_KEPT_LOG_MIB = 4_096;

/** What the settings of every server depend on. */
export async function settingsFor(
  tools: ClusterTools,
  sharedBuffersMiB: number,
): Promise<Launch["settings"]> {
  const { blocks, bsize } = await statfs(tools.dataDir);
  const tenthMiB = Math.ceil((blocks * bsize) / MIB / 10);
  return {
    major: majorOf(tools.version),
    hasLz4: await knowsLz4(tools),
    sharedBuffersMiB,
    keptLogMiB: Math.min(MOST_KEPT_LOG_MIB, tenthMiB),
  };
}

/**
 * Writes the settings of a server whose data is there, and returns who will start it.
 *
 * @param deathLimit after so many deaths in a row it is not brought back any more.
 */
export async function superviseServer(
  launch: Launch,
  name: ServerName,
  deathLimit = Infinity,
): Promise<Supervisor> {
  const { tools, runFolder, settings, log, onRestarted } = launch;
  const { binaries, identity, dataDir } = tools;
  const clusterDir = await realpath(clusterFolder(tools, name)); // It may be a link to another disk.
  const socketFolder = path.relative(clusterDir, path.join(dataDir, "run"));
  const mainConnection = connectionToMain(runFolder, socketFolder);
  const file = path.join(clusterDir, SETTINGS_FILE);
  await writeSettings(tools, file, { ...settings, name, mainConnection });
  const { port } = serverAddress(runFolder, name);
  const line = [binaries.postgres, "-D", clusterDir, ...fixedSettings(port, socketFolder)];
  return new Supervisor({
    name,
    clusterDir,
    lockFiles: [
      path.join(clusterDir, "postmaster.pid"),
      path.join(dataDir, "run", `.s.PGSQL.${port}.lock`),
    ],
    command: commandAs(identity, binaries, [...identity.deathWatch, ...line] as [string]),
    serverLog: new ServerLog(path.join(dataDir, "log", `${name}.log`), identity.owner),
    log,
    deathLimit,
    onRestarted: () => onRestarted(name),
  });
}

/**
 * The way from the replica to main. The short path through the replica's own working directory is
 * free of the two things that the path of a home may have: letters that mean something in such a
 * text, and a link that the servers' user may not follow.
 */
function connectionToMain(runFolder: string, socketFolder: string): string {
  const folder = process.platform === "linux" ? `/proc/self/cwd/${socketFolder}` : runFolder;
  const host = folder.replaceAll(/['\\]/g, String.raw`\$&`);
  return `host='${host}' port=${serverAddress(runFolder, "main").port} user=${SUPERUSER}`;
}

async function writeSettings(
  tools: ClusterTools,
  file: string,
  input: SettingsInput,
): Promise<void> {
  const text = settingsText(input);
  if ((await readFile(file, "utf8").catch(() => undefined)) === text) return;
  await writeFileDurably(file, text);
  await giveToServers(tools.identity, file);
}

/** Asks the build itself: a server refuses to start with a setting that it does not know. */
async function knowsLz4(tools: ClusterTools): Promise<boolean> {
  const { binaries, identity, dataDir } = tools;
  const question = ["-c", "default_toast_compression=lz4", "-C", "default_toast_compression"];
  const line = [binaries.postgres, "-D", dataDir, "-c", "config_file=/dev/null"] as const;
  const probe = commandAs(identity, binaries, [...line, ...question]);
  return (await runCommand(probe, { timeoutMs: PROBE_TIMEOUT_MS })).ok;
}
