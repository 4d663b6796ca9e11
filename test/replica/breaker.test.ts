import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import type { StateManager } from "../../src/manager/state-manager.ts";
import { migrate } from "../../src/supabase/migrate.ts";
import { startPrivateTrio } from "../fault/private-trio.ts";
import { connectionTo } from "../support/manager.ts";
import { Proxy } from "../support/proxy.ts";
import { provokeConflict, waitForReplay } from "../support/replica.ts";
import { until } from "../support/until.ts";
import {
  fromReplica,
  openPair,
  replicaAt,
  replicaOf,
  untilInUse,
  untilNotInUse,
} from "./replica.ts";
import type { Pair } from "./replica.ts";

describe("a replica that does not serve", () => {
  let pair: Pair;
  let manager: StateManager;

  beforeEach(async () => {
    pair = await openPair();
    manager = pair.openManager();
    await manager.updateState("a", "note", 1);
    await waitForReplay(pair);
    await untilServed();
  });

  afterEach(() => pair.close());

  const servedBy = async (): Promise<string> => (await manager.readState("a", {})).servedBy;
  const untilServed = async (): Promise<void> => {
    await untilInUse(manager);
    await fromReplica(() => manager.readState("a", {}));
  };

  test("frozen, keeps no read waiting, and is used again once it is thawed", async () => {
    pair.readonly.freeze();
    const reads = Array.from({ length: 20 }, servedBy);
    expect(await Promise.all(reads)).toEqual(reads.map(() => "main"));
    expect(await untilNotInUse(manager)).toMatch(/does not answer/);
    const from = performance.now();
    expect(await servedBy()).toBe("main");
    expect(performance.now() - from).toBeLessThan(5_000);
    pair.readonly.thaw();
    await untilServed();
  });

  test("frozen, does not hold up the end", async () => {
    pair.readonly.freeze();
    await servedBy();
    await manager.close();
    pair.readonly.thaw();
  });

  test("killed with -9, costs no read, and is used again once it is back", async () => {
    let isOver = false;
    const reading = (async () => {
      while (!isOver) await servedBy();
    })();
    await pair.readonly.end("SIGKILL");
    await untilNotInUse(manager);
    await manager.updateState("a", "note", 2);
    expect(await manager.readState("a", {})).toMatchObject({
      servedBy: "main",
      state: { version: 2n },
    });
    await pair.readonly.start();
    await untilServed();
    expect((await manager.getState("a")).version).toBe(2n);
    isOver = true;
    await reading;
  });

  test("whose recovery cancels a read is asked once more", async () => {
    // It does not go on before it was met.
    const [fast] = await pair.main.sql<{ columns: string }>(
      "select pg_get_function_result('agent_state_api.read_scope'::regproc) as columns",
    );
    await pair.main.sql("alter function agent_state_api.read_scope rename to read_scope_fast");
    await pair.main.sql(`create function agent_state_api.read_scope(p_namespace text, p_scope text)
      returns ${fast!.columns} language plpgsql stable security definer as $$ begin
        perform pg_advisory_xact_lock_shared(1) where pg_is_in_recovery();
        return query select * from agent_state_api.read_scope_fast(p_namespace, p_scope);
      end $$`);
    await waitForReplay(pair);
    const holder = new pg.Client({ connectionString: pair.readonly.url });
    await holder.connect();
    await holder.query("select pg_advisory_lock(1)");
    const { retries } = replicaOf(manager).figures;
    const reading = manager.scope("a");
    const running =
      "select from pg_stat_activity where query like '%read_scope%' and state = 'active' and pid <> pg_backend_pid()";
    await until(async () => (await pair.readonly.sql(running)).length === 1);
    await provokeConflict(pair);
    await holder.end();
    expect(await reading).toMatchObject({ step: 1n });
    expect(replicaOf(manager).figures).toMatchObject({ retries: retries + 1 });
    expect(replicaOf(manager).status.health).toBe("ok");
  });

  test("may be taken out of use by hand, for a while", async () => {
    replicaOf(manager).open("somebody looks into it", 3_000);
    expect(await servedBy()).toBe("main");
    expect(replicaOf(manager).status).toMatchObject({
      health: "not in use",
      reason: "somebody looks into it",
    });
    await untilServed();
  });

  test("is told by the metrics", async () => {
    replicaOf(manager).open("a test");
    await servedBy();
    const { body } = await manager.metrics.render();
    expect(body).toMatch(/agent_runtime_reads_total\{served_by="readonly"\} [1-9]/);
    expect(body).toMatch(/agent_runtime_replica_fallbacks_total\{reason="open"\} [1-9]/);
    expect(body).toContain("agent_runtime_replica_up 0");
    expect(body).toContain("agent_runtime_replica_lag_seconds 0");
  });

  test("behind a network that is cut, costs no read", async () => {
    const ours = await mkdtemp(join(tmpdir(), "art-proxy-"));
    const socket = join(ours, ".s.PGSQL.5432");
    const proxy = await Proxy.open({ path: pair.readonly.socket }, { path: socket });
    const url = `postgres://postgres@localhost/postgres?host=${encodeURIComponent(ours)}&port=5432`;
    const far = pair.openManager(replicaAt({ url }));
    await untilInUse(far);
    await fromReplica(() => far.readState("a", {}));
    proxy.cut();
    expect(await far.readState("a", {})).toMatchObject({ state: { version: 1n } });
    await far.close();
    await proxy.close();
    await rm(ours, { recursive: true });
  });
});

describe("a database that is no replica of main", () => {
  test("is not read from: one that takes writes, one of another main, one without the schema", async () => {
    const [pair, other] = await Promise.all([openPair(), startPrivateTrio()]);
    try {
      await migrate(connectionTo(other.main.url));
      await waitForReplay(other);
      const expectReason = async (url: string, reason: RegExp): Promise<void> => {
        const manager = pair.openManager(replicaAt({ url }));
        await until(() => reason.test(replicaOf(manager).status.reason ?? ""), {
          what: String(reason),
        });
        await manager.updateState("a", "note", 1);
        expect(await manager.readState("a", {})).toMatchObject({ servedBy: "main" });
        await manager.close();
      };
      await expectReason(pair.main.url, /takes writes itself/);
      await expectReason(other.readonly.url, /another database/);
      await expectReason(other.rollback.url, /schema is behind/);
    } finally {
      await Promise.all([pair.close(), other.close()]);
    }
  });
});
