import { chownSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestProject } from "vitest/node";
import { findParts } from "../../scripts/parts.mjs";
import type { Missing } from "../../scripts/parts.d.mts";
import { Guard } from "./guard.ts";
import { serverOwner, startPgbouncer, startPostgres, type ServerAddress } from "./servers.ts";

/** The servers of this test run: where each listens, or why it is not there. */
export interface Services {
  readonly postgres: ServerAddress | Missing;
  readonly pgbouncer: ServerAddress | Missing;
}

declare module "vitest" {
  interface ProvidedContext {
    services: Services;
  }
}

/** Starts the servers once for the whole run; stops them at its end, whatever that end is. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const folder = mkdtempSync(join(tmpdir(), "art-test-"));
  const owner = serverOwner();
  if (owner.uid !== undefined && owner.gid !== undefined) chownSync(folder, owner.uid, owner.gid);
  const guard = new Guard(folder);
  try {
    project.provide("services", await startServices(folder, guard));
  } catch (error) {
    await guard.release();
    throw error;
  }
  return () => guard.release();
}

async function startServices(folder: string, guard: Guard): Promise<Services> {
  const owner = serverOwner();
  const parts = findParts();
  if (parts.postgres.missing !== undefined) {
    return { postgres: parts.postgres, pgbouncer: parts.postgres };
  }
  const postgres = await startPostgres(parts.postgres, folder, owner);
  guard.watch(postgres.process);
  if (parts.pgbouncer.missing !== undefined) {
    return { postgres: postgres.address, pgbouncer: parts.pgbouncer };
  }
  const pooler = await startPgbouncer(parts.pgbouncer, postgres.address, { folder, owner });
  guard.watch(pooler.process);
  return { postgres: postgres.address, pgbouncer: pooler.address };
}
