import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { StateManager } from "../../src/manager/state-manager.ts";
import { openStateStore } from "../../src/supabase/state-store.ts";
import { startPrivateTrio } from "../fault/private-trio.ts";
import type { PrivateTrio } from "../fault/private-trio.ts";
import { createDatabase } from "../support/homes.ts";
import { PostgrestDouble } from "../support/postgrest-double.ts";
import { pauseReplay, resumeReplay, waitForReplay } from "../support/replica.ts";
import { KEYS, openSupabase, wayTo } from "../support/supabase.ts";
import type { Supabase } from "../support/supabase.ts";
import { fromReplica, untilInUse } from "./replica.ts";

describe("a replica behind a Data API", () => {
  let trio: PrivateTrio;
  let supabase: Supabase;
  let replicaApi: PostgrestDouble;
  let manager: StateManager;

  beforeAll(async () => {
    trio = await startPrivateTrio();
    const { main, readonly } = trio;
    supabase = await openSupabase(() =>
      createDatabase((database) => main.url.replace("/postgres?", `/${database}?`)),
    );
    await waitForReplay(trio);
    replicaApi = await PostgrestDouble.open({
      connectionString: readonly.url
        .replace("/postgres?", `/${supabase.database.name}?`)
        .replace("//postgres@", "//authenticator@"),
      keys: { [KEYS.secret]: "service_role" },
      schemas: ["public", "agent_state_api"],
    });
    const store = openStateStore({
      ...wayTo({ url: supabase.double.url }),
      dataBytes: 1_048_576,
      dataDepth: 64,
      replica: wayTo({ url: replicaApi.url }),
    });
    manager = new StateManager({ store, pollMs: 20, cache: { entries: 0, bytes: 0 } });
    await untilInUse(manager);
  });

  afterAll(async () => {
    await manager.close();
    await replicaApi.close();
    await supabase.close();
    await trio.close();
  });

  test("answers all reads by GET, documents to the letter, and no more than that comes there", async () => {
    await manager.updateState(
      "a",
      "note",
      { "1.10": 'ü"q"', list: [1, null, true] },
      { scope: "s" },
    );
    await waitForReplay(trio);
    const before = replicaApi.seen.length;
    expect(await fromReplica(() => manager.readState("a", {}))).toMatchObject({
      state: { version: 1n, data: { "1.10": 'ü"q"', list: [1, null, true] } },
    });
    expect((await manager.list({ scope: "s" })).items).toHaveLength(1);
    expect((await manager.history("a")).items).toHaveLength(1);
    expect(await manager.scope("s")).toMatchObject({ step: 1n });
    expect((await manager.scopeStates("s")).items).toHaveLength(1);
    await fromReplica(() => manager.readState("a", { version: 1n }));
    const came = replicaApi.seen
      .slice(before)
      .filter(({ path }) => !path.includes("copy_standing"));
    expect(came.map(({ method }) => method)).toEqual(came.map(() => "GET"));
    expect(came.every(({ path }) => path.startsWith("/rest/v1/rpc/read_copy?q="))).toBe(true);
    expect(came.length).toBeGreaterThanOrEqual(6);
  });

  test("is not asked for what it does not have yet", async () => {
    await manager.updateState("b", "note", 1, { scope: "s" });
    await waitForReplay(trio);
    await pauseReplay(trio.readonly);
    await manager.updateState("b", "note", 2, { scope: "s" });
    await manager.updateState("c", "note", 1, { scope: "s" });
    expect(await manager.readState("b", {})).toMatchObject({
      servedBy: "main",
      state: { version: 2n },
    });
    expect((await manager.list({ scope: "s" })).items.map(({ id }) => id)).toEqual(["a", "b", "c"]);
    expect((await manager.list()).items.map(({ id }) => id)).toEqual(["a", "b", "c"]);
    await resumeReplay(trio.readonly);
    await waitForReplay(trio);
  });

  test("opens no door but those of reads", async () => {
    const q = encodeURIComponent(JSON.stringify({ fn: "expired_states", q: { limit: 1 } }));
    const answer = await fetch(`${replicaApi.url}/rest/v1/rpc/read_copy?q=${q}`, {
      headers: { apikey: KEYS.secret, "accept-profile": "agent_state_api" },
    });
    expect(await answer.json()).toMatchObject({ code: "42883" });
  });
});
