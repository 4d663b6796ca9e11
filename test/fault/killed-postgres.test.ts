import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type pg from "pg";
import { afterEach, describe, expect, onTestFinished, test } from "vitest";
import { StateManager } from "../../src/index.ts";
import { proofLength } from "../support/length.ts";
import { embeddedConnection, scratchDataDir } from "./place.ts";
import { judge, SOUND } from "./judge.ts";
import { Ledger } from "./ledger.ts";
import { startLoad, startReaders } from "./load.ts";
import { missingPostgres, PrivatePostgres, signalTo } from "./private-postgres.ts";

const ROUNDS = proofLength({ short: 1, full: 5 });
const WRITERS = 128;
const READERS = 16;
const TIMEOUT_MS = 3_000;
/** A timer that fires late on a busy machine is no call that hangs. */
const LATE_MS = 3_000;
/** How soon after the database is back a write must go through. */
const HEALED_MS = 5_000;
const FROZEN_MS = 1_000;

let postgres: PrivatePostgres | undefined;
afterEach(async () => {
  await postgres?.close();
  postgres = undefined;
});

interface Subject {
  readonly manager: StateManager;
  readonly connection: pg.ClientConfig;
  /** Resolves when the database is back, or is about to be without us. */
  readonly fault: (ledger: Ledger) => Promise<void>;
}

/** Load, fault, and after it: everyone was answered in time and truly, and the same manager goes on. */
async function survives({ manager, connection, fault }: Subject): Promise<void> {
  const ledger = new Ledger();
  for (let round = 1; round <= ROUNDS; round += 1) {
    const call = { timeoutMs: TIMEOUT_MS };
    const name = `round-${round}`;
    const load = startLoad({ ledger, faces: [manager], writers: WRITERS, name, ...call });
    const readers = startReaders({ ledger, face: manager, readers: READERS, ...call });
    await ledger.more(300);
    const felt = ledger.more(1, "failed");
    await Promise.all([fault(ledger), felt]);
    const from = performance.now();
    await ledger.more(1);
    const healedMs = Math.round(performance.now() - from);
    await ledger.more(300);
    await Promise.all([load.stop(), readers.stop()]);
    console.log(`healed in ${healedMs} ms; slowest call ${ledger.slowestMs} ms`);
    expect(healedMs).toBeLessThan(HEALED_MS);
    expect(ledger.slowestMs).toBeLessThan(TIMEOUT_MS + LATE_MS);
    expect(await judge(connection, ledger)).toEqual(SOUND);
    await ledger.retryUnsettled(manager);
    expect(ledger.unsettled).toEqual([]);
    expect(await judge(connection, ledger)).toEqual(SOUND);
  }
}

async function onPrivate(
  fault: (server: PrivatePostgres, ledger: Ledger) => Promise<void>,
): Promise<Subject> {
  const server = await PrivatePostgres.open();
  postgres = server;
  const manager = await StateManager.open({ supabase: { main: server.url } });
  onTestFinished(() => manager.close());
  return {
    manager,
    connection: { connectionString: server.url },
    fault: (ledger) => fault(server, ledger),
  };
}

const missing = missingPostgres();
const timeout = 60_000 + 60_000 * ROUNDS;

describe.skipIf(missing !== undefined)("under load, PostgreSQL", () => {
  test("is killed with -9 and started again", { timeout }, async () => {
    const subject = await onPrivate(async (server, ledger) => {
      await server.end("SIGKILL", () => ledger.more(1)); // the moment somebody was told
      await server.start();
    });
    await survives(subject);
  });

  test("loses one backend to kill -9", { timeout }, async () => {
    const subject = await onPrivate(async (server) => {
      signalTo(server.children("postgres: postgres").at(0)!, "SIGKILL");
    });
    await survives(subject);
  });

  test("is restarted by its administrator", { timeout }, async () => {
    const subject = await onPrivate(async (server) => {
      await server.end("SIGINT");
      await server.start();
    });
    await survives(subject);
  });

  test("stands still, longer than callers wait, and goes on", { timeout }, async () => {
    const subject = await onPrivate(async (server) => {
      server.freeze();
      await sleep(TIMEOUT_MS + FROZEN_MS); // the fault itself is a time
      server.thaw();
    });
    await survives(subject);
  });
});

test("under load, the embedded server is killed and brought back", { timeout }, async () => {
  const dataDir = await scratchDataDir();
  const manager = await StateManager.open({ dataDir, roles: ["main"] });
  onTestFinished(() => manager.close());
  await survives({
    manager,
    connection: embeddedConnection(dataDir),
    fault: async () => {
      const pid = readFileSync(join(dataDir, "main", "postmaster.pid"), "utf8");
      signalTo(Number.parseInt(pid, 10), "SIGKILL");
    },
  });
});
