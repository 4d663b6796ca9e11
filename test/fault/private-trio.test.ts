import { afterEach, beforeEach, expect, test } from "vitest";
import { flushedLsn, pauseReplay, resumeReplay, waitForReplay } from "../support/replica.ts";
import { until } from "../support/until.ts";
import { startPrivateTrio } from "./private-trio.ts";
import type { PrivateTrio } from "./private-trio.ts";

let trio: PrivateTrio;

beforeEach(async () => {
  trio = await startPrivateTrio();
  await trio.main.sql("create table steps (step int)");
  await waitForReplay(trio);
});

afterEach(async () => {
  await trio.close();
});

async function stepsOnReplica(): Promise<unknown> {
  return (await trio.readonly.sql("select count(*)::int as steps from steps"))[0]?.["steps"];
}

test("a paused replica stays where it is and can be read; resumed, it comes after", async () => {
  await pauseReplay(trio.readonly);
  await trio.main.sql("insert into steps values (1)");
  const lsn = await flushedLsn(trio.main);
  const received = "select pg_last_wal_receive_lsn() >= $1::pg_lsn as here";
  await until(async () => (await trio.readonly.sql(received, [lsn]))[0]?.["here"]);
  expect(await stepsOnReplica()).toBe(0);

  await resumeReplay(trio.readonly);
  await waitForReplay(trio, lsn);
  expect(await stepsOnReplica()).toBe(1);
});

test("main is killed with -9: the others go on; started again, the replica follows it again", async () => {
  await trio.main.sql("insert into steps values (1)");
  await waitForReplay(trio);
  await trio.main.end("SIGKILL");
  expect(await stepsOnReplica()).toBe(1);
  expect(await trio.rollback.sql("select 1 as one")).toEqual([{ one: 1 }]);
  await trio.main.start();
  await trio.main.sql("insert into steps values (2)");
  await waitForReplay(trio);
  expect(await stepsOnReplica()).toBe(2);
});

test("a replica that was stopped comes after once it is started", async () => {
  await trio.readonly.end("SIGINT");
  await trio.main.sql("insert into steps values (1)");
  await trio.readonly.start();
  await waitForReplay(trio);
  expect(await stepsOnReplica()).toBe(1);
});

test("a frozen server answers nothing until it is thawed", async () => {
  trio.rollback.freeze();
  let isAnswered = false;
  const answer = trio.rollback.sql("select 1 as one").then((rows) => {
    isAnswered = true;
    return rows;
  });
  for (const step of [1, 2, 3]) {
    await trio.main.sql("insert into steps values ($1)", [step]); // whole answers of one that lives
  }
  expect(isAnswered).toBe(false);
  trio.rollback.thaw();
  expect(await answer).toEqual([{ one: 1 }]);
});
