import { setImmediate as nextTurn } from "node:timers/promises";
import { afterEach, beforeEach, expect, test } from "vitest";
import { laneOf } from "../../src/manager/lane-of.ts";
import { StateManager } from "../../src/manager/state-manager.ts";
import { proofLength } from "../support/length.ts";
import { Proxy } from "../support/proxy.ts";
import { proveOnPrivateServers, openSupabase } from "../support/supabase.ts";
import type { Supabase } from "../support/supabase.ts";
import { until } from "../support/until.ts";
import { judge, SOUND } from "./judge.ts";
import { Ledger } from "./ledger.ts";
import type { KeyedChangeset } from "./ledger.ts";
import { startLoad } from "./load.ts";
import { randomFrom } from "./random.ts";

const CUTS = proofLength({ short: 15, full: 300 });
/** What a caller waits, what a call of the API may take, and how late a timer may be on a busy machine. */
const CALL_MS = 300;
const STATEMENT_MS = 5_000;
const LATE_MS = 3_000;

function update(id: string, key = id): KeyedChangeset {
  const changes = [{ op: "update", id, type: "shared", data: { key } } as const];
  return { scope: id, changes, idempotencyKey: key };
}

proveOnPrivateServers("a connection to the Data API", (createDatabase) => {
  let supabase: Supabase;
  let proxy: Proxy;
  let manager: StateManager;

  beforeEach(async () => {
    supabase = await openSupabase(createDatabase);
    proxy = await Proxy.open({ host: "127.0.0.1", port: supabase.double.port });
    const url = `http://127.0.0.1:${proxy.port}`;
    const store = supabase.openStore({ url, statementTimeoutMs: STATEMENT_MS });
    manager = new StateManager({ store, batchLimit: 4, writeTimeoutMs: STATEMENT_MS });
  });

  afterEach(async () => {
    proxy.thaw();
    await manager.close();
    await proxy.close();
    await supabase.close();
  });

  /** Ids whose own scope is written through a lane. */
  function idsOn(lane: number, count: number): string[] {
    const ids = Array.from({ length: 1_000 }, (_, number) => `state-${number}`);
    return ids.filter((id) => laneOf("default", id, 4) === lane).slice(0, count);
  }

  const verdict = (ledger: Ledger): ReturnType<typeof judge> =>
    judge({ connectionString: supabase.database.adminUrl }, ledger);

  async function settle(ledger: Ledger): Promise<void> {
    expect(await verdict(ledger)).toEqual(SOUND);
    await ledger.retryUnsettled(manager);
    expect(ledger.unsettled).toEqual([]);
    expect(await verdict(ledger)).toEqual(SOUND);
  }

  test("that is frozen: writes end in their time, and say truly whether they were sent", async () => {
    const ledger = new Ledger();
    const [sent, ...waiting] = idsOn(0, 6);
    await ledger.write(manager, update(sent!, "before"));
    proxy.freeze();
    const first = ledger.write(manager, update(sent!, "sent"), { timeoutMs: CALL_MS });
    await nextTurn(); // it is on its way: what comes now waits behind it
    await nextTurn();
    const rest = waiting.map((id) => ledger.write(manager, update(id), { timeoutMs: CALL_MS }));
    await Promise.all([first, ...rest]);
    expect(ledger.attempts.map(({ fate }) => fate)).toEqual([
      "acknowledged",
      "open",
      ...waiting.map(() => "denied"),
    ]);
    expect(ledger.slowestMs).toBeLessThan(CALL_MS + LATE_MS);
    proxy.thaw();
    await until(() => manager.describe(), { what: "the thawed API" });
    await settle(ledger);
  });

  test("that is frozen: what names no time ends within that of a call", async () => {
    const ledger = new Ledger();
    await ledger.write(manager, update("before"));
    proxy.freeze();
    const from = performance.now();
    const outcomes = await Promise.allSettled([
      manager.getState("before", { consistency: "strong" }),
      manager.history("before"),
      manager.list(),
      ...idsOn(0, 20).map((id) => ledger.write(manager, update(id))),
    ]);
    expect(outcomes.slice(0, 3)).toMatchObject(
      Array.from({ length: 3 }, () => ({ reason: { code: "UNAVAILABLE" } })),
    );
    expect(ledger.acknowledged).toBe(1);
    expect(performance.now() - from).toBeLessThan(STATEMENT_MS + LATE_MS);
    proxy.thaw();
    await until(() => manager.describe(), { what: "the thawed API" });
    await settle(ledger);
  });

  test(`that is cut at random ${CUTS} times under load`, { timeout: 120_000 }, async () => {
    const ledger = new Ledger();
    const random = randomFrom(5);
    const call = { timeoutMs: 3_000 };
    const load = startLoad({ ledger, faces: [manager], writers: 32, name: "cut", ...call });
    for (let cut = 0; cut < CUTS; cut += 1) {
      await ledger.more(1 + random(30));
      proxy.cut();
    }
    await ledger.more(100);
    await load.stop();
    expect(ledger.unsettled.length, "writes that a cut hit").toBeGreaterThan(0);
    expect(ledger.slowestMs).toBeLessThan(call.timeoutMs + LATE_MS);
    await settle(ledger);
  });

  test("whose database loses its sessions under load", { timeout: 120_000 }, async () => {
    const ledger = new Ledger();
    const load = startLoad({
      ledger,
      faces: [manager],
      writers: 16,
      name: "kill",
      timeoutMs: 3_000,
    });
    for (let kill = 0; kill < 10; kill += 1) {
      await ledger.more(20);
      await supabase.sql(
        "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'authenticator' and datname = current_database()",
      );
    }
    await ledger.more(50);
    await load.stop();
    expect(ledger.unsettled.length, "writes that a kill hit").toBeGreaterThan(0);
    await settle(ledger);
  });
});
