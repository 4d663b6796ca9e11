import pg from "pg";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { setImmediate as nextTurn } from "node:timers/promises";
import { StateManager } from "../../src/index.ts";
import { laneOf } from "../../src/manager/lane-of.ts";
import { Proxy } from "../support/proxy.ts";
import { until } from "../support/until.ts";
import { judge, SOUND } from "./judge.ts";
import { Ledger } from "./ledger.ts";
import type { KeyedChangeset } from "./ledger.ts";
import { startLoad } from "./load.ts";
import { missingPostgres, PrivatePostgres } from "./private-postgres.ts";
import { randomFrom } from "./random.ts";

const LANES = 2;
const CUTS = 50;
/** What a caller waits, what a statement may take, and how late a timer may be on a busy machine. */
const CALL_MS = 300;
const STATEMENT_MS = 5_000;
const LATE_MS = 3_000;

let postgres: PrivatePostgres;
let proxy: Proxy;
let manager: StateManager;

const missing = missingPostgres();

beforeEach(async () => {
  if (missing !== undefined) return;
  postgres = await PrivatePostgres.open();
  proxy = await Proxy.open({ path: postgres.socket });
  manager = await StateManager.open({
    supabase: {
      main: `postgres://postgres@127.0.0.1:${proxy.port}/postgres`,
      lanes: LANES,
      connectTimeoutMs: 2_000,
    },
    write: { timeoutMs: STATEMENT_MS, batchLimit: 4, queueLimit: 1_000 },
  });
});

afterEach(async () => {
  if (missing !== undefined) return;
  proxy.thaw();
  await manager.close();
  await proxy.close();
  await postgres.close();
});

/** Ids whose own scope is written through a lane. */
function idsOn(lane: number, count: number): string[] {
  const ids = Array.from({ length: 1_000 }, (_, number) => `state-${number}`);
  return ids.filter((id) => laneOf("default", id, LANES) === lane).slice(0, count);
}

function update(id: string, key = id): KeyedChangeset {
  const changes = [{ op: "update", id, type: "shared", data: { key } } as const];
  return { scope: id, changes, idempotencyKey: key };
}

async function verdict(ledger: Ledger): ReturnType<typeof judge> {
  return judge({ connectionString: postgres.url }, ledger);
}

/** Milliseconds that it took, whatever came out. */
async function timed(run: () => Promise<unknown>): Promise<{ ms: number; code: unknown }> {
  const from = performance.now();
  const code = await run().then(
    () => "answered",
    (error: unknown) => (error as { code?: unknown }).code,
  );
  return { ms: performance.now() - from, code };
}

describe.skipIf(missing !== undefined)("a connection", () => {
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
    await until(() => manager.describe(), { what: "the thawed database" });
    await manager.updateState(sent!, "shared", "after"); // behind the late answer, in the same lane
    expect(await verdict(ledger)).toEqual(SOUND);
    await ledger.retryUnsettled(manager);
    expect(ledger.unsettled).toEqual([]);
    expect(await verdict(ledger)).toEqual(SOUND);
  });

  test("that is frozen: reads end in their time", async () => {
    await manager.updateState("state", "shared", 1);
    proxy.freeze();
    const call = { timeoutMs: CALL_MS };
    const reads = [
      () => manager.getState("state", { ...call, consistency: "strong" }),
      () => manager.getState("state", { ...call, version: 1n }),
      () => manager.history("state", call),
      () => manager.diff("state", { ...call, from: 0n, to: 1n }),
      () => manager.list(call),
      () => manager.scope("state", call),
      () => manager.scopeStates("state", call),
    ];
    const outcomes = await Promise.all(reads.map(timed));
    expect(outcomes.map(({ code }) => code)).toEqual(reads.map(() => "UNAVAILABLE"));
    expect(Math.max(...outcomes.map(({ ms }) => ms))).toBeLessThan(CALL_MS + LATE_MS);
    const canceled = await timed(() =>
      manager.getState("state", { consistency: "strong", signal: AbortSignal.timeout(CALL_MS) }),
    );
    expect(canceled.code).toBe("CANCELED");
    expect(canceled.ms).toBeLessThan(CALL_MS + LATE_MS);
  });

  test("that is frozen: writes that name no time end within write.timeoutMs, however many wait", async () => {
    const ledger = new Ledger();
    await ledger.write(manager, update("before"));
    proxy.freeze();
    const ids = idsOn(0, 60); // fifteen transactions of one lane
    await Promise.all(ids.map((id) => ledger.write(manager, update(id))));
    expect(ledger.acknowledged).toBe(1);
    expect(ledger.slowestMs).toBeLessThan(STATEMENT_MS + LATE_MS);
    proxy.thaw();
    await ledger.retryUnsettled(manager);
    expect(await verdict(ledger)).toEqual(SOUND);
    expect(ledger.unsettled).toEqual([]);
  });

  test("that waits for a lock holds back its own lane only, and not for ever", async () => {
    const ledger = new Ledger();
    const [held, neighbour] = idsOn(0, 2);
    const elsewhere = idsOn(1, 20);
    await ledger.write(manager, update(held!, "before"));
    const holder = new pg.Client({ connectionString: postgres.url });
    await holder.connect();
    await holder.query("begin");
    await holder.query("select from agent_state.states where id = $1 for update", [held]);

    const blocked = ledger.write(manager, update(held!, "blocked"), { timeoutMs: CALL_MS });
    await Promise.all(elsewhere.map((id) => ledger.write(manager, update(id))));
    await blocked;
    expect(ledger.unsettled.map(({ changeset }) => changeset.idempotencyKey)).toEqual(["blocked"]);
    // The statement is given up, its lane goes on over another connection.
    await until(() => ledger.write(manager, update(neighbour!)), { what: "its lane" });
    await holder.query("rollback");
    await holder.end();
    await ledger.retryUnsettled(manager); // against the old statement, which goes on as well
    expect(ledger.unsettled).toEqual([]);
    expect(await verdict(ledger)).toEqual(SOUND);
  });

  test(`that is cut at random ${CUTS} times under load`, { timeout: 120_000 }, async () => {
    const ledger = new Ledger();
    const random = randomFrom(3);
    const call = { timeoutMs: 3_000 };
    const load = startLoad({ ledger, faces: [manager], writers: 64, name: "cut", ...call });
    for (let cut = 0; cut < CUTS; cut += 1) {
      await ledger.more(1 + random(30));
      proxy.cut();
    }
    await ledger.more(100);
    await load.stop();
    expect(ledger.unsettled.length, "writes that a cut hit").toBeGreaterThan(0);
    expect(ledger.slowestMs).toBeLessThan(call.timeoutMs + LATE_MS);
    expect(await verdict(ledger)).toEqual(SOUND);
    await ledger.retryUnsettled(manager);
    expect(ledger.unsettled).toEqual([]);
    expect(await verdict(ledger)).toEqual(SOUND);
  });
});
