import { stat } from "node:fs/promises";
import path from "node:path";
import { AgentRuntimeError } from "../state/errors.ts";

/** Stands in a data directory while its main is rebuilt. */
export const RENEWING = "main.renewing";

/** Refuses (RESTORE_UNFINISHED) a home whose main is not whole yet. */
export async function refuseRenewing(dataDir: string): Promise<void> {
  if ((await stat(path.join(dataDir, RENEWING)).catch(() => undefined)) === undefined) return;
  throw new AgentRuntimeError(
    "RESTORE_UNFINISHED",
    `The main of ${dataDir} is being rebuilt from the rollback database, and not all of it is there yet. ` +
      "Run `agent_runtime state restore --from rollback` again: it continues where it stopped.",
  );
}
