import { afterAll, beforeAll, expect, test } from "vitest";
import { Connection } from "../../src/supabase/connection.ts";
import { ReadPool } from "../../src/supabase/read-pool.ts";
import { describeOnPostgres } from "../support/homes.ts";
import { connectionTo, openBench } from "../support/manager.ts";
import type { Bench } from "../support/manager.ts";
import { until } from "../support/until.ts";

describeOnPostgres("a statement that took too long ends in the database too", (home) => {
  let bench: Bench;
  beforeAll(async () => {
    bench = await openBench(home);
  });
  afterAll(() => bench.close());

  async function isRunning(): Promise<boolean> {
    const sleepers =
      "select from pg_stat_activity where datname = current_database() and wait_event = 'PgSleep'";
    return (await bench.sql(sleepers)).length > 0;
  }

  const options = (): ConstructorParameters<typeof Connection>[0] => ({
    ...connectionTo(bench.database.url),
    statementTimeoutMs: 1_000,
  });

  test.each([
    ["of a writer", () => new Connection(options())],
    ["of a reader", () => new ReadPool(options(), 1)],
  ])("%s, whose next one is served", async (_name, open) => {
    const connection = open();
    const given = connection.query("select pg_sleep(600)::text", []);
    const isRefused = expect(given).rejects.toMatchObject({ code: "UNAVAILABLE" });
    await until(isRunning, { what: "the statement" });
    await isRefused;
    await until(async () => !(await isRunning()), { what: "its end" });
    expect(await connection.query("select 1", [])).toEqual([["1"]]);
    await connection.close();
  });
});
