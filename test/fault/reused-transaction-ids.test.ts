import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { afterEach, expect, onTestFinished, test } from "vitest";
import { StateManager } from "../../src/index.ts";
import type { Change } from "../../src/state/state.ts";
import { until } from "../support/until.ts";
import { missingPostgres, PrivatePostgres } from "./private-postgres.ts";

// PostgreSQL hands out the ids of transactions that left nothing on disk again after a crash. A
// position in the feed must therefore never lie behind what is on disk.

const IDS = 50;
const POLL_MS = 20;
/** Nothing that writes to disk by itself: it would note the newest id in passing. */
const QUIET = { bgwriter_delay: "10s", wal_writer_delay: "10s", autovacuum: "off" };
const missing = missingPostgres();

let postgres: PrivatePostgres | undefined;
afterEach(async () => {
  await postgres?.close();
  postgres = undefined;
});

async function openManager(server: PrivatePostgres): Promise<StateManager> {
  const manager = await StateManager.open({
    supabase: { main: server.url },
    feed: { pollMs: POLL_MS },
  });
  onTestFinished(() => manager.close());
  return manager;
}

/** Uses up transaction ids without a trace on disk, as a refused write does. */
async function useUpIds(server: PrivatePostgres): Promise<void> {
  const client = new pg.Client({ connectionString: server.url });
  await client.connect();
  for (let count = 0; count < IDS; count += 1) await client.query("select pg_current_xact_id()");
  await client.end();
}

async function crash(server: PrivatePostgres): Promise<void> {
  await server.end("SIGKILL");
  await server.start();
}

test.skipIf(missing !== undefined)(
  "a watch that began before a crash sees what is written after it",
  async () => {
    postgres = await PrivatePostgres.open(QUIET);
    const manager = await openManager(postgres);
    await manager.updateState("before", "shared", 0);
    await useUpIds(postgres);
    const after = await manager.feedHead();
    await crash(postgres);

    const seen: Change[] = [];
    const stop = new AbortController();
    const watching = (async () => {
      for await (const change of manager.watch({ after, signal: stop.signal })) seen.push(change);
    })();
    for (const value of [1, 2, 3]) await manager.updateState("after", "shared", value);
    await until(() => seen.length >= 3, { what: "all three changes", timeoutMs: 20_000 }).catch(
      () => undefined,
    );
    stop.abort();
    await watching;
    expect(seen.map(({ id, version }) => [id, version])).toEqual([
      ["after", 1n],
      ["after", 2n],
      ["after", 3n],
    ]);
  },
);

test.skipIf(missing !== undefined)(
  "what another process writes after a crash is taken out of memory",
  async () => {
    postgres = await PrivatePostgres.open(QUIET);
    const [here, there] = [await openManager(postgres), await openManager(postgres)];
    await here.updateState("shared", "shared", "old");
    expect((await here.getState("shared")).data).toBe("old");
    await useUpIds(postgres);
    await sleep(10 * POLL_MS); // several looks at the feed: the newest ids were seen
    await crash(postgres);
    await until(() => here.describe(), { what: "the database" });
    await there.updateState("shared", "shared", "new");
    const data = async (): Promise<unknown> => (await here.getState("shared")).data;
    await until(async () => (await data()) === "new", { timeoutMs: 20_000 }).catch(() => undefined);
    expect(await data()).toBe("new");
  },
);
