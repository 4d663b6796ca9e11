import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import type { StateManager } from "../../src/manager/state-manager.ts";
import { AgentRuntimeError } from "../../src/state/errors.ts";
import { describeOnHomes } from "../support/homes.ts";
import { openBench, proxied } from "../support/manager.ts";
import type { Bench } from "../support/manager.ts";
import type { Proxy } from "../support/proxy.ts";
import { until } from "../support/until.ts";

describeOnHomes("under pressure, the manager", (home) => {
  let bench: Bench;
  let proxy: Proxy;
  let url: string;
  let close: () => Promise<void>;
  let count = 0;
  let id: string;

  beforeAll(async () => {
    bench = await openBench(home);
    ({ proxy, url, close } = await proxied(bench.database));
  });

  afterAll(async () => {
    proxy.thaw();
    await bench.close();
    await close();
  });

  beforeEach(() => {
    proxy.thaw();
    id = `state-${++count}`;
  });

  function openFar(options: Parameters<Bench["openManager"]>[0] = {}): StateManager {
    return bench.openManager({ address: { url }, lanes: 1, pollMs: 1_000_000, ...options });
  }

  /** A backend of this database that waits for a lock; those of other test files wait too. */
  async function waiting(): Promise<{ pid: number } | undefined> {
    const [row] = await bench.sql<{ pid: number }>(
      `select pid from pg_locks join pg_stat_activity using (pid)
        where not granted and datname = current_database()`,
    );
    return row;
  }

  async function versionOnDisk(of: string): Promise<number> {
    const [row] = await bench.sql<{ version: string }>(
      "select version from agent_state.states where id = $1 and version > 0",
      [of],
    );
    return Number(row?.version ?? 0);
  }

  test("refuses what exceeds its queue, at once and truthfully, and loses nothing that it took", async () => {
    const manager = openFar({ queueLimit: 20 });
    await manager.updateState(id, "note", 0); // connected
    proxy.freeze();
    const calls = Array.from({ length: 50 }, (_, i) =>
      fateOf(manager.updateState(`${id}-${i}`, "note", i)),
    );
    const refused = await Promise.all(calls.slice(20));
    expect(refused.map(brief)).toEqual(Array(30).fill("UNAVAILABLE, not done"));
    expect(refused[0]!.error?.facts.retryAfterMs).toBeGreaterThan(0);
    proxy.thaw();
    expect((await Promise.all(calls.slice(0, 20))).map(brief)).toEqual(Array(20).fill("done"));
    const rows = await bench.sql("select from agent_state.states where id like $1", [`${id}-%`]);
    expect(rows).toHaveLength(20);
    expect(brief(await fateOf(manager.updateState(id, "note", 1)))).toBe("done");
  });

  test("says of a write that waited: nothing has happened; and it never will", async () => {
    const manager = openFar();
    await manager.updateState(id, "note", 0);
    proxy.freeze();
    const first = manager.updateState(id, "note", 1);
    await macrotask(); // it is on its way
    const controller = new AbortController();
    const waiting = [
      fateOf(manager.updateState(id, "note", 2, { timeoutMs: 20 })),
      fateOf(manager.updateState(id, "note", 3, { signal: controller.signal })),
    ];
    controller.abort();
    expect((await Promise.all(waiting)).map(brief)).toEqual([
      "UNAVAILABLE, not done",
      "CANCELED, not done",
    ]);
    proxy.thaw();
    await first;
    await manager.updateState(id, "note", 4);
    expect(await versionOnDisk(id)).toBe(3);
  });

  test("says of a write that was sent: it may have happened; and where it did, reads it", async () => {
    const manager = openFar({ pollMs: 20 });
    await manager.updateState(id, "note", 0);
    expect((await manager.getState(id)).data).toBe(0);
    const controller = new AbortController();
    proxy.freeze();
    const sent = [
      fateOf(manager.updateState(id, "note", 1, { timeoutMs: 500 })), // not before it is sent
      fateOf(manager.updateState(`${id}-b`, "note", 1, { signal: controller.signal })),
    ];
    await macrotask();
    controller.abort();
    expect((await Promise.all(sent)).map(brief)).toEqual(["UNAVAILABLE, open", "CANCELED, open"]);
    proxy.thaw();
    await until(async () => (await versionOnDisk(id)) === 2);
    await until(async () => (await manager.getState(id)).data === 1);
  });

  test("does nothing for a call that was canceled before it came", async () => {
    const manager = openFar();
    const fate = await fateOf(manager.updateState(id, "note", 1, { signal: AbortSignal.abort() }));
    expect(brief(fate)).toBe("CANCELED, not done");
    await manager.updateState(`${id}-after`, "note", 1);
    expect(await versionOnDisk(id)).toBe(0);
  });

  test("answers in its own time where the caller names none and the database is silent", async () => {
    const manager = openFar({ writeTimeoutMs: 500, statementTimeoutMs: 2_000 });
    await manager.updateState(id, "note", 0, { timeoutMs: 30_000 });
    proxy.freeze();
    const sent = fateOf(manager.updateState(id, "note", 1));
    await macrotask();
    const waiting = fateOf(manager.updateState(`${id}-w`, "note", 1));
    expect(brief(await sent)).toBe("UNAVAILABLE, open");
    expect(brief(await waiting)).toBe("UNAVAILABLE, not done");
    proxy.cut();
    proxy.thaw();
    await until(async () => brief(await fateOf(manager.updateState(id, "note", 2))) === "done");
  });

  test("forgets what it knew of a state where the connection broke over a write to it", async () => {
    const manager = openFar({ pollMs: 5 });
    await manager.updateState(id, "note", 0);
    expect((await manager.getState(id)).data).toBe(0);
    // The transaction comes through, its answer does not: the backend waits for a lock meanwhile.
    const blocker = await bench.connect();
    await blocker.query("begin");
    await blocker.query("select from agent_state.states where id = $1 for update", [id]);
    const fate = fateOf(manager.updateState(id, "note", 1));
    await until(waiting);
    proxy.cut();
    expect(brief(await fate)).toBe("UNAVAILABLE, open");
    expect((await manager.getState(id)).data).toBe(0); // read again, and kept again
    await blocker.query("commit");
    const isPooled = home.name === "pgbouncer"; // it cancels what its client no longer waits for
    if (!isPooled) {
      await until(async () => (await versionOnDisk(id)) === 2);
      await until(async () => (await manager.getState(id)).data === 1);
    }
  });

  test("reads anew, once a write to it may have happened, what it had in memory", async () => {
    const manager = openFar(); // hears nothing of other processes' writes, nor of its own lost ones
    await manager.updateState(id, "note", 0);
    expect((await manager.getState(id)).data).toBe(0);
    const blocker = await bench.connect();
    await blocker.query("begin");
    await blocker.query("select from agent_state.states where id = $1 for update", [id]);
    const fate = fateOf(manager.updateState(id, "note", 1));
    await until(waiting);
    proxy.cut();
    expect(brief(await fate)).toBe("UNAVAILABLE, open");
    await blocker.query("commit");
    const busy =
      "select from pg_stat_activity where datname = current_database() and query like '%commit_batch%' and state <> 'idle'";
    await until(async () => (await bench.sql(`${busy} and pid <> pg_backend_pid()`)).length === 0);
    expect((await manager.getState(id)).version).toBe(BigInt(await versionOnDisk(id)));
    // A pooler may take back what its client no longer waits for.
    if (home.name !== "pgbouncer") expect(await versionOnDisk(id)).toBe(2);
  });

  test("says of a write whose server process died: it may have happened; and works again", async () => {
    const manager = openFar();
    await manager.updateState(id, "note", 0);
    const blocker = await bench.connect();
    await blocker.query("begin");
    await blocker.query("select from agent_state.states where id = $1 for update", [id]);
    const fate = fateOf(manager.updateState(id, "note", 1));
    const { pid } = await until(waiting);
    await bench.sql("select pg_terminate_backend($1)", [pid]);
    expect(brief(await fate)).toBe("UNAVAILABLE, open");
    await blocker.query("rollback");
    await until(async () => brief(await fateOf(manager.updateState(id, "note", 2))) === "done");
  });

  test("has on disk, once closed, all that it took before; and closes once", async () => {
    const manager = bench.openManager({ lanes: 2 });
    const writes = Array.from({ length: 300 }, (_, i) =>
      fateOf(manager.updateState(`${id}-${i % 40}`, "note", i)),
    );
    const closes = [manager.close(), manager.close()];
    await Promise.all(closes);
    const fates = (await Promise.all(writes)).map(brief);
    expect(fates).toEqual(Array(300).fill("done"));
    const [row] = await bench.sql(
      "select count(*)::int as changes from agent_state.changes c join agent_state.states s using (state_no) where s.id like $1",
      [`${id}-%`],
    );
    expect(row).toEqual({ changes: 300 });
    await manager.close();
    const late = await fateOf(manager.updateState(`${id}-late`, "note", 1));
    expect(brief(late)).toBe("UNAVAILABLE, not done");
  });

  test("finishes, while it closes, also what turned out to need a second try", async () => {
    const [other, manager] = [bench.openManager(), bench.openManager({ pollMs: 1_000_000 })];
    const long = { pad: "x".repeat(5_000) };
    await manager.updateState(id, "note", { ...long, turn: 1 });
    await manager.getState(id);
    await other.updateState(id, "note", { ...long, turn: 2 });
    // It sends a delta on version 1, which no longer holds.
    const write = fateOf(manager.updateState(id, "note", { ...long, turn: 3 }));
    await manager.close();
    expect(brief(await write)).toBe("done");
    expect(await versionOnDisk(id)).toBe(3);
  });

  test("closes although the database is silent", async () => {
    const manager = openFar({ lanes: 4, statementTimeoutMs: 2_000 });
    await Promise.all([1, 2, 3, 4, 5].map((n) => manager.updateState(`${id}-${n}`, "note", n)));
    await manager.getState(`${id}-1`, { consistency: "strong" });
    proxy.freeze();
    const open = fateOf(manager.updateState(id, "note", 1));
    await macrotask();
    await manager.close();
    expect(brief(await open)).toBe("UNAVAILABLE, open");
  });
});

interface Fate {
  readonly error?: AgentRuntimeError;
}

async function fateOf(call: Promise<unknown>): Promise<Fate> {
  try {
    await call;
    return {};
  } catch (error) {
    if (error instanceof AgentRuntimeError) return { error };
    throw error;
  }
}

function brief({ error }: Fate): string {
  if (error === undefined) return "done";
  return `${error.code}, ${error.facts.mayHaveHappened === true ? "open" : "not done"}`;
}

/** After this the batcher has sent what came before. */
async function macrotask(): Promise<void> {
  for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve));
}
