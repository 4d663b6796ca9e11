import { afterEach, beforeEach, expect, test } from "vitest";
import { restoreMain } from "../../src/runtime/restore-main.ts";
import { Follower } from "../../src/follower/follower.ts";
import { silentLog } from "../../src/service/log.ts";
import { openFollowedStore } from "../../src/supabase/rollback/followed-store.ts";
import { migrate } from "../../src/supabase/migrate.ts";
import { testHomes } from "../support/homes.ts";
import { connectionTo, openBench } from "../support/manager.ts";
import type { Bench } from "../support/manager.ts";
import { HandFollower, openPair } from "../support/rollback.ts";
import type { Pair } from "../support/rollback.ts";
import { until } from "../support/until.ts";
import { configWith, expectSound, loggedIn, restoreInto } from "./restored.ts";

const home = testHomes().find(({ name }) => name === "embedded")!;

let pair: Pair;
let hand: HandFollower;
const open: { close(): Promise<void> }[] = [];

beforeEach(async () => {
  pair = await openPair(home);
  open.push(pair);
  hand = await HandFollower.begin(pair);
});

afterEach(async () => {
  for (const each of open.splice(0).toReversed()) await each.close();
});

/** A main with nothing in it. */
async function emptyMain(): Promise<Bench> {
  const bench = await openBench(home);
  open.push(bench);
  return bench;
}

async function write(scope: string, steps: number): Promise<void> {
  for (let n = 1; n <= steps; n++) {
    await pair.manager.updateState(scope, "note", { n }, { namespace: "n" });
  }
}

/** Two steps in each of so many scopes, in few transactions. */
async function writeMany(count: number): Promise<void> {
  const scopes = Array.from({ length: count }, (_, n) => `s${String(n).padStart(3, "0")}`);
  for (let n = 1; n <= 2; n++) {
    const outcomes = await pair.manager.commitBatch(
      scopes.map((scope) => ({
        namespace: "n",
        changes: [{ op: "update" as const, id: scope, type: "note", data: { n } }],
      })),
    );
    expect(outcomes.filter((outcome) => "error" in outcome)).toEqual([]);
  }
}

/** Runs statements on the rollback database as somebody who should not, after all was followed. */
async function vandalise(...statements: readonly string[]): Promise<void> {
  await hand.drain();
  for (const statement of statements) await pair.rollback.sql(statement);
  await pair.copies.releaseLease(hand.epoch);
}

const changeOf = (id: string, version: number): string =>
  `state_no = (select state_no from agent_state.states where id = '${id}') and version = ${version}`;

test("what does not prove is named, and nothing of it is restored as good", async () => {
  for (const scope of ["edited", "forged", "missing", "older", "sound", "swapped"]) {
    await write(scope, 3);
  }
  await vandalise(
    `update agent_state.changes set body = '{"n":33}' where ${changeOf("edited", 3)}`,
    `update agent_state.changes set phase = 'forged' where ${changeOf("forged", 3)}`,
    `delete from agent_state.changes where ${changeOf("missing", 3)}`,
    `update agent_state.changes set body = '{"n":22}' where ${changeOf("older", 2)}`,
    `update agent_state.changes set (digest, body) = (select d.digest, d.body from agent_state.changes d where d.version = 3
        and d.state_no = (select state_no from agent_state.states where id = 'sound')) where ${changeOf("swapped", 3)}`,
  );
  const main = await emptyMain();
  const { database } = main;
  const { losses, scopes } = await restoreInto(database, pair.rollback);
  expect(scopes).toBe(5);
  const lost = { namespace: "n", lostFrom: 3n, lostTo: 3n, restoredStep: 2n, hold: true };
  const named = { version: 3n };
  expect(losses).toEqual([
    { ...lost, ...named, scope: "edited", id: "edited", why: expect.stringContaining("digest") },
    { ...lost, ...named, scope: "forged", id: "forged", why: expect.stringContaining("digest") },
    {
      ...lost,
      scope: "missing",
      id: null,
      version: null,
      why: expect.stringContaining("step 3 of its copy: it is missing"),
    },
    {
      namespace: "n",
      scope: "older",
      restoredStep: 0n,
      lostFrom: 1n,
      lostTo: 3n,
      why: expect.stringContaining("digest"),
      id: "older",
      version: 2n,
      hold: false,
    },
    { ...lost, ...named, scope: "swapped", id: "swapped", why: expect.stringContaining("digest") },
  ]);
  await expectSound(main);
  const documents = await main.sql(
    `select s.id, agent_state.document(s.state_no, s.version)::text as document from agent_state.states s order by s.id`,
  );
  expect(documents).toEqual(
    ["edited", "forged", "missing", "sound", "swapped"].map((id) => ({
      id,
      document: `{"n":${id === "sound" ? 3 : 2}}`,
    })),
  );
  const manager = main.openManager();
  await expect(manager.updateState("edited", "note", {}, { namespace: "n" })).rejects.toMatchObject(
    { code: "SCOPE_ON_HOLD" },
  );
  await manager.updateState("sound", "note", { n: 4 }, { namespace: "n" });
  // The evidence stays where it was found.
  const [evidence] = await pair.rollback.sql<{ body: string }>(
    `select body::text from agent_state.changes where ${changeOf("older", 2)}`,
  );
  expect(evidence).toEqual({ body: '{"n":22}' });
});

test("steps that main is known to have gone on to are listed, and unfinished copies", async () => {
  for (const scope of ["gap", "half", "whole"]) await write(scope, 2);
  await hand.drain();
  // A page that was lost: the step after it is seen, and breaks the copy.
  await write("gap", 1);
  await hand.settled();
  await hand.read(1_000);
  await write("gap", 2);
  expect(await hand.drain()).toMatchObject([{ scope: "gap", need: "rebuild" }]);
  await write("half", 3);
  await hand.settled();
  await hand.read(1_000);
  await pair.copies.discard({ namespace: "n", scope: "half" }, "looks wrong");
  await pair.copies.releaseLease(hand.epoch);
  const main = await emptyMain();
  const { database } = main;
  const report = await restoreInto(database, pair.rollback);
  expect(report.losses).toMatchObject([
    { scope: "gap", restoredStep: 2n, lostFrom: 3n, lostTo: null, id: null, hold: false },
    { scope: "half", restoredStep: 0n, lostFrom: 1n, lostTo: null, id: null, hold: false },
  ]);
  expect(report.losses.map(({ why }) => why)).toEqual([
    "main had newer steps that were not copied",
    "its copy was not whole",
  ]);
  expect(report.copiedUntil).toBeInstanceOf(Date);
  await expectSound(main);
  // The copies are whole again once the new main is followed.
  const manager = main.openManager();
  expect(await manager.getState("gap", { namespace: "n" })).toMatchObject({ version: 2n });
  await expect(manager.getState("half", { namespace: "n" })).rejects.toMatchObject({
    code: "STATE_NOT_FOUND",
  });
});

test("with --promoted each scope is what a rollback would have restored, and the copies follow", async () => {
  await write("one", 1);
  await write("three", 3);
  await hand.drain();
  await pair.copies.releaseLease(hand.epoch);
  const main = await emptyMain();
  const { database } = main;
  const { losses } = await restoreInto(database, pair.rollback, { until: "promoted" });
  expect(losses).toMatchObject([
    { scope: "one", restoredStep: 0n, lostFrom: 1n, lostTo: 1n, hold: false },
    { scope: "three", restoredStep: 2n, lostFrom: 3n, lostTo: 3n, hold: false },
  ]);
  const manager = main.openManager();
  await manager.updateState("one", "note", { n: "again" }, { namespace: "n" });
  await manager.updateState("three", "note", { n: "other" }, { namespace: "n" });
  const copies = pair.openCopies();
  const followed = openFollowedStore({ ...connectionTo(database.url), lanes: 0, readers: 2 });
  const follower = new Follower({ main: followed, copies, pollMs: 20, share: 1, log: silentLog });
  open.push({ close: () => follower.stop().then(() => followed.close()) });
  follower.start();
  await until(async () => {
    const status = await copies.status();
    const standing = await copies.standing({ namespace: "n", scope: "three" });
    return !status.walking && status.broken === 0 && standing?.pendingStep === 3n;
  });
  const copy = await copies.readCopy("n", "three");
  expect(copy).toMatchObject({ promotedStep: 2n, states: [{ text: '{"n":2}', verified: true }] });
});

test("one that was interrupted goes on; until then nobody opens what is half there", async () => {
  await writeMany(450);
  await vandalise(`update agent_state.changes set body = '{}' where ${changeOf("s001", 2)}`);
  const copied = await loggedIn(pair.rollback, "s.id <> 's001'");
  const main = await emptyMain();
  const { database } = main;
  for (const stopAt of [200, 400]) {
    const stop = new AbortController();
    const interrupted = restoreInto(database, pair.rollback, {
      signal: stop.signal,
      onProgress: (_what, done) => {
        if (done === stopAt) stop.abort();
      },
    });
    await expect(interrupted).rejects.toMatchObject({ name: "AbortError" });
    await expect(migrate(connectionTo(database.adminUrl))).rejects.toMatchObject({
      code: "RESTORE_UNFINISHED",
      message: expect.stringContaining("state restore --from rollback"),
    });
  }
  await expect(restoreInto(database, pair.rollback, { until: "promoted" })).rejects.toMatchObject({
    code: "RESTORE_REFUSED",
    message: expect.stringContaining("--promoted"),
  });
  const report = await restoreInto(database, pair.rollback);
  expect(report).toMatchObject({ scopes: 450, losses: [{ scope: "s001", restoredStep: 1n }] });
  expect(await loggedIn(main, "s.id <> 's001'")).toEqual(copied);
  expect(await restoreInto(database, pair.rollback)).toEqual(report);
  await expectSound(main);
  await migrate(connectionTo(database.adminUrl));
});

test("one that ended while the copies were told goes on with the report that it had", async () => {
  await writeMany(250);
  await hand.drain();
  await pair.copies.releaseLease(hand.epoch);
  const main = await emptyMain();
  const { database } = main;
  const stop = new AbortController();
  const interrupted = restoreInto(database, pair.rollback, {
    until: "promoted",
    signal: stop.signal,
    onProgress: (what) => {
      if (what !== "restored") stop.abort();
    },
  });
  await expect(interrupted).rejects.toMatchObject({ name: "AbortError" });
  const report = await restoreInto(database, pair.rollback, { until: "promoted" });
  expect(report.losses).toHaveLength(250);
  expect(report.losses[0]).toMatchObject({ restoredStep: 1n, lostFrom: 2n, lostTo: 2n });
});

test("it is refused where main is not empty, is followed, or has no rollback database", async () => {
  await write("a", 2);
  await hand.drain();
  const { rollback, bench } = pair;
  const call = {
    until: "newest" as const,
    signal: new AbortController().signal,
    onProgress: (): void => undefined,
  };
  const main = bench.database.adminUrl;
  await pair.copies.releaseLease(hand.epoch);
  await expect(restoreInto(bench.database, rollback)).rejects.toMatchObject({
    code: "RESTORE_REFUSED",
    message: expect.stringContaining("not empty: it has 1 states"),
  });
  await expect(restoreMain(configWith({ main }), call)).rejects.toMatchObject({
    code: "INVALID_CONFIG",
    facts: { field: "supabase.rollback" },
  });
  const api = configWith({ main, rollback: rollback.url });
  const overHttps = { ...api, supabase: { ...api.supabase, main: "https://project.supabase.co" } };
  await expect(restoreMain(overHttps, call)).rejects.toMatchObject({
    code: "INVALID_CONFIG",
    facts: { field: "supabase.main" },
  });
  await expect(
    restoreInto({ ...bench.database, adminUrl: rollback.url }, rollback),
  ).rejects.toMatchObject({
    code: "SCHEMA_MISMATCH",
  });
  await pair.copies.takeLease("a service", 600_000);
  await expect(
    restoreInto((await emptyMain()).database, rollback, { leaseWaitMs: 0 }),
  ).rejects.toMatchObject({
    code: "RESTORE_REFUSED",
    message: expect.stringContaining("Stop it"),
  });
});
