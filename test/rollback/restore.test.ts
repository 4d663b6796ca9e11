import { afterAll, beforeAll, expect, test } from "vitest";
import { Follower } from "../../src/follower/follower.ts";
import type { StateManager } from "../../src/manager/state-manager.ts";
import { silentLog } from "../../src/service/log.ts";
import { openFollowedStore } from "../../src/supabase/rollback/followed-store.ts";
import { describeOnPostgres } from "../support/homes.ts";
import type { TestDatabase } from "../support/homes.ts";
import { benchOn, connectionTo } from "../support/manager.ts";
import type { Bench } from "../support/manager.ts";
import { HandFollower, openPair } from "../support/rollback.ts";
import type { Pair } from "../support/rollback.ts";
import { until } from "../support/until.ts";
import { expectSound, livingIn, loggedIn, restoreInto } from "./restored.ts";

/** The first change that a watcher with this cursor is given. */
async function firstAfter(manager: StateManager, after: string): Promise<string> {
  for await (const { id } of manager.watch({ after })) return id;
  throw new Error("the watch ended");
}

describeOnPostgres("main rebuilt from the rollback database", (home) => {
  let pair: Pair;
  let hand: HandFollower;
  const databases: TestDatabase[] = [];
  const benches: Bench[] = [];

  beforeAll(async () => {
    pair = await openPair(home);
    hand = await HandFollower.begin(pair);
  });

  afterAll(async () => {
    for (const bench of benches) await bench.close();
    await pair.close();
    for (const database of databases) await database.drop();
  });

  async function emptyDatabase(): Promise<TestDatabase> {
    const database = await home.createDatabase();
    databases.push(database);
    return database;
  }

  function open(database: TestDatabase): Bench {
    databases.splice(databases.indexOf(database), 1); // the bench drops it
    const bench = benchOn(database);
    benches.push(bench);
    return bench;
  }

  /** A life with all that a log can hold: deltas, deletes, steps of several states, going back, holds. */
  async function live(manager: StateManager, agent: string): Promise<void> {
    const options = { scope: agent, actor: "ann", cause: "life" };
    for (let n = 1; n <= 4; n++) {
      const changes = ["a", "b"].map((id) => ({
        op: "update" as const,
        id: `${agent}.${id}`,
        type: "note",
        data: { n, text: `${agent} ${n}` },
      }));
      await manager.commit({ ...options, changes });
    }
    for (const phase of ["registered", "starting", "idle"]) {
      await manager.updateState(`${agent}.agent`, "agent", { phase }, { ...options, phase });
    }
    for (let n = 0; n < 40; n++) await manager.mergeState(`${agent}.a`, { n }, options);
    await manager.deleteState(`${agent}.b`, options);
    await manager.updateState(`${agent}.c`, "note", { text: "new\u2028" }, options);
  }

  test("has every copied step digest by digest, and goes on from there", async () => {
    const { manager, bench, rollback } = pair;
    for (const agent of ["ann", "bob", "eve"]) await live(manager, agent);
    await hand.drain();
    await manager.rollback("bob", { reason: "a mistake" });
    await manager.rollback("bob");
    await manager.hold("eve", { reason: "looks wrong" });
    await hand.drain();
    await hand.lookAtGates();
    const main = await livingIn(bench);
    const copied = await loggedIn(rollback);
    const cursor = await manager.feedHead();
    await pair.copies.releaseLease(hand.epoch);

    const database = await emptyDatabase();
    const report = await restoreInto(database, rollback);
    expect(report).toMatchObject({ scopes: 3, losses: [], copiedAll: true });
    expect(report.changes).toBe(copied.length);
    const restored = open(database);
    expect(await loggedIn(restored)).toEqual(copied);
    expect(await livingIn(restored)).toEqual(main);
    await expectSound(restored);

    // The same rollback database follows the new main.
    const copies = pair.openCopies();
    const followed = openFollowedStore({ ...connectionTo(database.url), lanes: 0, readers: 2 });
    const follower = new Follower({ main: followed, copies, pollMs: 20, share: 1, log: silentLog });
    const again = restored.openManager({ copies });
    follower.start();
    await expect(firstAfter(again, cursor)).rejects.toThrow(
      expect.objectContaining({ code: "GAP" }),
    );
    expect(await firstAfter(again, "0")).toBe("ann.agent");
    expect(await again.scope("eve")).toMatchObject({ hold: true });
    const bob = await again.scope("bob");
    expect(bob).toMatchObject(
      await manager.scope("bob").then(({ step, quarantined }) => ({ step, quarantined })),
    );

    const { step } = await again.updateState("ann.c", "note", { text: "later" });
    await until(
      async () =>
        (await copies.standing({ namespace: "default", scope: "ann" }))!.pendingStep === step,
    );
    expect(await again.rollback("ann")).toMatchObject({ source: "rollback", undoneStep: step });
    expect(await again.getState("ann.c")).toMatchObject({ data: { text: "new\u2028" } });
    await until(async () => (await copies.status()).broken === 0);
    await follower.stop();
    await followed.close();
  });
});
