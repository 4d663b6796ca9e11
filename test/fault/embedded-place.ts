import { readdirSync, readlinkSync, realpathSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type pg from "pg";
import { onTestFinished } from "vitest";

/** A folder for an embedded home that is gone after the test. */
export async function scratchDataDir(): Promise<string> {
  const dataDir = realpathSync(await mkdtemp(join(tmpdir(), "art-fault-")));
  onTestFinished(() => rm(dataDir, { recursive: true, force: true }));
  return dataDir;
}

/** How to reach the running main server of an embedded home, as its superuser. */
export function embeddedConnection(dataDir: string): pg.ClientConfig {
  return { host: join(dataDir, "run"), port: 5432, user: "postgres", database: "postgres" };
}

/** The processes of the main server: the working directory of each is its data. */
export function serverPids(dataDir: string): number[] {
  const folder = join(dataDir, "main");
  return readdirSync("/proc")
    .map(Number)
    .filter((pid) => {
      try {
        return pid > 1 && readlinkSync(`/proc/${pid}/cwd`) === folder;
      } catch {
        return false; // it ended while we looked
      }
    });
}
