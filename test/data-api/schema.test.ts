import { afterEach, expect, test } from "vitest";
import { StateManager } from "../../src/index.ts";
import { packageVersion } from "../../src/service/package-root.ts";
import { migrate } from "../../src/supabase/migrate.ts";
import { prepareSchema } from "../../src/supabase/prepare-schema.ts";
import { connectionTo } from "../support/manager.ts";
import { proveOnPrivateServers, KEYS, openSupabase, wayTo } from "../support/supabase.ts";
import type { Supabase } from "../support/supabase.ts";

proveOnPrivateServers("what cannot migrate", (createDatabase) => {
  let supabase: Supabase;

  afterEach(() => supabase.close());

  const check = () => prepareSchema(wayTo({ url: supabase.double.url }));

  test("is content with a schema that is up to date", async () => {
    supabase = await openSupabase(createDatabase);
    expect(await check()).toEqual({ applied: [] });
  });

  test("finds a schema that was made only just now, though the API does not know it yet", async () => {
    supabase = await openSupabase(createDatabase, { isMigrated: false });
    const checked = check();
    await migrate(connectionTo(supabase.ownerUrl));
    expect(await checked).toEqual({ applied: [] });
  });

  test("says what to do where there is none, or none that is exposed", async () => {
    supabase = await openSupabase(createDatabase, { isMigrated: false });
    const mismatch = {
      code: "SCHEMA_MISMATCH",
      message: expect.stringMatching(
        /state migrate --database-url.*--dump-sql supabase\/migrations.*`agent_state_api` to the exposed schemas/,
      ),
    };
    await expect(check()).rejects.toMatchObject(mismatch);
    await supabase.close();
    supabase = await openSupabase(createDatabase, { schemas: ["public"] });
    await expect(check()).rejects.toMatchObject(mismatch);
  });

  test.each([
    [
      "is older",
      "update agent_state.migrations set checksum = 'old', program = '0.0.1' where number = 0",
      /older than this program: 0\.0\.1 made it, and it lacks functions\. A Data API cannot migrate/,
    ],
    [
      "lacks a step",
      "delete from agent_state.migrations where number = 1",
      new RegExp(`${packageVersion()} made it, and it lacks 0001_state\\.sql`),
    ],
    [
      "is newer",
      "insert into agent_state.migrations values (99, '0099_next.sql', 'x', '9.9.9')",
      /migrated by a newer version.*0099_next\.sql/,
    ],
  ])("refuses a schema that %s", async (_name, statement, message) => {
    supabase = await openSupabase(createDatabase);
    await supabase.sql(statement);
    await expect(check()).rejects.toMatchObject({
      code: "SCHEMA_MISMATCH",
      message: expect.stringMatching(message),
    });
  });

  test("opens as a library by its URL and key, and says where it runs", async () => {
    supabase = await openSupabase(createDatabase);
    const settings = { main: supabase.double.url, mainKey: KEYS.secret };
    const manager = await StateManager.open({ supabase: settings });
    await manager.updateState("a", "note", 1);
    expect((await manager.getState("a", { consistency: "strong" })).data).toBe(1);
    expect(await manager.describe()).toMatchObject({ server: "PostgreSQL" });
    await manager.close();
    await expect(
      StateManager.open({ supabase: { ...settings, mainKey: "sb_secret_wrong" } }),
    ).rejects.toMatchObject({ code: "UNAVAILABLE", facts: { field: "supabase.mainKey" } });
  });
});
