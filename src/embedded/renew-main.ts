import { rename, rm, stat } from "node:fs/promises";
import path from "node:path";
import type { Logger } from "../service/log-port.ts";
import { systemClock } from "../service/clock.ts";
import { AgentRuntimeError } from "../state/errors.ts";
import { checkCluster, clusterFolder } from "./cluster.ts";
import type { ClusterTools } from "./cluster.ts";
import { forgetServer, MARKER, refuse } from "./data-directory.ts";
import { syncPath, writeFileDurably } from "./durable-file.ts";
import { openEmbeddedHome } from "./home.ts";
import type { EmbeddedHome, EmbeddedOptions } from "./home.ts";
import { giveToServers } from "./identity.ts";
import { endLeftovers } from "./leftovers.ts";
import { RENEWING } from "./renewing.ts";

export interface RenewOptions extends Omit<EmbeddedOptions, "roles" | "beforeMain"> {
  /** Whether the rollback server is needed, and must have data. */
  readonly withRollback: boolean;
  /** Whether a main that is there may be put aside; else it is refused. */
  readonly mayMoveMain: boolean;
}

/** A home whose main is being made anew. */
export interface RenewedHome {
  readonly home: EmbeddedHome;
  /** Where the former main is now; null: there was none, or an earlier run moved it. */
  readonly movedTo: string | null;
  /** The new main has all that it will be given: from now on the home opens as any other. */
  readonly finish: () => Promise<void>;
}

/**
 * Opens a home whose main is lost, with a new and empty main; what is left of the former one is put aside, never
 * deleted. Until `finish` nobody else opens the home, and this goes on with the same new main.
 *
 * @throws {AgentRuntimeError} RESTORE_REFUSED: main is there and may not be moved; the rollback server has no data.
 *   DATA_DIRECTORY, UNAVAILABLE.
 */
export async function openRenewedHome(options: RenewOptions): Promise<RenewedHome> {
  const { withRollback, mayMoveMain, ...rest } = options;
  let movedTo: string | null = null;
  const home = await openEmbeddedHome({
    ...rest,
    roles: withRollback ? ["main", "rollback"] : ["main"],
    beforeMain: async (tools) => {
      if (withRollback && !(await checkCluster(tools, "rollback"))) {
        throw new AgentRuntimeError(
          "RESTORE_REFUSED",
          `There is no ${clusterFolder(tools, "rollback")} to restore from. Name a rollback database in \`supabase.rollback\`, or restore a backup.`,
        );
      }
      movedTo = await makeRoom(tools, mayMoveMain, options.log);
    },
  });
  if (withRollback) {
    const { state, reason } = await home.settled("rollback");
    if (state !== "ready") {
      await home.close();
      throw refuse(`the rollback server does not start (${reason})`, "look at its log in log/");
    }
  }
  const { dataDir } = options;
  return {
    home,
    movedTo,
    finish: async () => {
      await rm(path.join(dataDir, RENEWING), { force: true });
      await syncPath(dataDir);
    },
  };
}

/** Puts the former main aside; where the new one is. Only for the holder of the lock. */
async function makeRoom(
  tools: ClusterTools,
  mayMove: boolean,
  log: Logger,
): Promise<string | null> {
  const { dataDir } = tools;
  const mark = path.join(dataDir, RENEWING);
  const folder = clusterFolder(tools, "main");
  let movedTo: string | null = null;
  if (!(await exists(mark))) {
    if (await exists(folder)) {
      if (!mayMove) throw isThere(folder);
      await endLeftovers(folder, log);
      const moment = new Date(systemClock.now()).toISOString().replaceAll(/[-:]|\.\d+/g, "");
      movedTo = `${folder}.damaged-${moment}`;
      await rename(folder, movedTo);
      await syncPath(dataDir);
    }
    await writeFileDurably(mark, "main is being rebuilt from the rollback database\n");
  }
  if (!(await exists(folder))) await forgetServer(dataDir, "main");
  await giveToServers(tools.identity, path.join(dataDir, MARKER));
  return movedTo;
}

function isThere(folder: string): AgentRuntimeError {
  return new AgentRuntimeError(
    "RESTORE_REFUSED",
    `${folder} exists. If it is lost for good, pass --move-main: it is moved aside, never deleted, and main is rebuilt without it. Nothing was changed.`,
  );
}

async function exists(name: string): Promise<boolean> {
  return (await stat(name).catch(() => undefined)) !== undefined;
}
