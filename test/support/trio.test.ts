import { afterEach, beforeEach, expect, test } from "vitest";
import { openBench } from "./manager.ts";
import { provokeConflict, waitForReplay } from "./replica.ts";
import { openSql } from "./sql.ts";
import { describeOnTrios, openTrio } from "./trio.ts";
import type { Trio } from "./trio.ts";
import { until } from "./until.ts";

describeOnTrios("the three databases of a test", (home) => {
  let trio: Trio;

  beforeEach(async () => {
    trio = await openTrio(home);
  });

  afterEach(async () => {
    await trio.close();
  });

  test("main's commits come to the replica, which takes none, and not to rollback", async () => {
    const { main, readonly, rollback } = trio;
    await main.sql("create table written as select 7 as seven");
    await waitForReplay(trio);
    expect(await readonly.sql("select seven from written")).toEqual([{ seven: 7 }]);
    await expect(readonly.sql("delete from written")).rejects.toMatchObject({ code: "25006" });
    await expect(rollback.sql("select from written")).rejects.toMatchObject({ code: "42P01" });
  });

  test("each is reached on the way of the home", async () => {
    for (const { url } of [trio.main, trio.readonly, trio.rollback]) {
      const way = openSql(url);
      expect(await way.sql("select 1 as one")).toEqual([{ one: 1 }]);
      await way.close();
    }
  });

  test("all are gone once closed, and a bench's with its trio", async () => {
    const bench = await openBench(home);
    const opened = await openTrio(home, bench.database);
    expect(await opened.readonly.sql("select count(*) as states from agent_state.states")).toEqual([
      { states: "0" },
    ]);
    await opened.close();
    for (const { url } of [opened.main, opened.readonly, opened.rollback]) {
      const gone = openSql(url);
      await until(() => gone.sql("select 1").then(isFalse, doesNotExist), { what: "its end" });
      await gone.close();
    }
    await bench.close();
  });

  test("a read that runs on the replica meets a recovery conflict", async () => {
    const reader = await trio.readonly.connect();
    const [session] = (await reader.query<{ pid: number }>("select pg_backend_pid() as pid")).rows;
    const reading = expect(reader.query("select pg_sleep(60)")).rejects.toMatchObject({
      code: "40001",
      message: expect.stringContaining("conflict with recovery"),
    });
    const running = "select from pg_stat_activity where pid = $1 and state = 'active'";
    await until(async () => (await trio.readonly.sql(running, [session?.pid])).length === 1);
    await provokeConflict(trio);
    await reading;
  });
});

const isFalse = (): boolean => false;

function doesNotExist(error: unknown): boolean {
  return String(error).includes("does not exist");
}
