import { readdirSync, readlinkSync, realpathSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type pg from "pg";
import { onTestFinished } from "vitest";
import type { Settings } from "../../src/index.ts";
import type { TestHome } from "../support/homes.ts";

/** Where a service or a library keeps its states in a test. */
export interface Place {
  /** For the library. */
  readonly settings: Settings;
  /** For the program. */
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** As superuser, while it runs. */
  readonly connection: pg.ClientConfig;
  /** Processes of database servers that belong to it. */
  serverPids(): number[];
}

/** A new place on a home. */
export async function placeOf(home: TestHome): Promise<Place> {
  if (home.name === "embedded") {
    const dataDir = await scratchDataDir();
    return {
      settings: { dataDir, roles: ["main"] },
      args: ["--data-dir", dataDir],
      env: {},
      connection: embeddedConnection(dataDir),
      serverPids: () => serverPids(dataDir),
    };
  }
  const database = await home.createDatabase();
  onTestFinished(() => database.drop());
  return {
    settings: { supabase: { main: database.url } },
    args: [],
    env: { SUPABASE_DB_URL: database.url },
    connection: { connectionString: database.adminUrl },
    serverPids: () => [],
  };
}

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
