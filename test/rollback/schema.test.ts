import pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { migrate } from "../../src/supabase/migrate.ts";
import { describeOnHomes } from "../support/homes.ts";
import { connectionTo } from "../support/manager.ts";
import { openPair } from "../support/rollback.ts";
import type { Pair } from "../support/rollback.ts";

describeOnHomes("the rollback database", (home) => {
  let pair: Pair;

  beforeAll(async () => {
    pair = await openPair(home);
  });

  afterAll(async () => await pair.close());

  test("is not migrated as main, nor main as it", async () => {
    const { bench, rollback } = pair;
    await expect(migrate(connectionTo(rollback.url))).rejects.toMatchObject({
      code: "SCHEMA_MISMATCH",
      message: expect.stringContaining("This is a rollback database"),
    });
    await expect(migrate(connectionTo(bench.database.url), "rollback")).rejects.toMatchObject({
      code: "SCHEMA_MISMATCH",
      message: expect.stringContaining("`supabase.rollback`"),
    });
    expect(await migrate(connectionTo(rollback.url), "rollback")).toEqual({ applied: [] });
  });

  test("lets its login call functions and touch no table, and main's writer nothing at all", async () => {
    const { rollback } = pair;
    const [name] = await rollback.sql<{ name: string }>("select current_database() as name");
    const logins = { ours: `follower_${name!.name}`, writer: `writer_${name!.name}` };
    await rollback.sql(
      `create role ${logins.ours} login password 'secret' in role agent_state_rollback`,
    );
    await rollback.sql(
      `create role ${logins.writer} login password 'secret' in role agent_state_writer`,
    );
    const open = async (login: string): Promise<pg.Client> => {
      const connectionString = rollback.url.replace(/\/\/[^@]*@/, `//${login}:secret@`);
      const client = new pg.Client({ connectionString });
      await client.connect();
      return client;
    };
    const denied = { code: "42501" };
    const ours = await open(logins.ours);
    const writer = await open(logins.writer);
    try {
      expect((await ours.query("select * from agent_state_api.copy_status()")).rowCount).toBe(1);
      for (const statement of [
        "select * from agent_state.changes",
        "update agent_state.scopes set hold = false where true",
        "select agent_state.holds_lease(1)",
      ]) {
        await expect(ours.query(statement), statement).rejects.toMatchObject(denied);
      }
      for (const statement of [
        "select * from agent_state_api.copy_status()",
        "select * from agent_state_api.take_lease('thief', 1000)",
        "select * from agent_state.changes",
      ]) {
        await expect(writer.query(statement), statement).rejects.toMatchObject(denied);
      }
    } finally {
      await Promise.all([ours.end(), writer.end()]);
      for (const login of Object.values(logins)) await rollback.sql(`drop role ${login}`);
    }
  });
});
