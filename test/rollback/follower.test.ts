import { afterAll, beforeAll, expect, test } from "vitest";
import { Follower } from "../../src/follower/follower.ts";
import type { FollowerOptions } from "../../src/follower/follower.ts";
import { silentLog } from "../../src/service/log.ts";
import { settled } from "../model/audit.ts";
import { describeOnPostgres } from "../support/homes.ts";
import { openPair } from "../support/rollback.ts";
import type { Pair } from "../support/rollback.ts";
import { until } from "../support/until.ts";

describeOnPostgres("a follower", (home) => {
  let pair: Pair;
  const open: Follower[] = [];

  beforeAll(async () => {
    pair = await openPair(home);
  });

  afterAll(async () => {
    for (const follower of open) await follower.stop();
    await pair.close();
  });

  function follow(options: Partial<FollowerOptions> = {}): Follower {
    const follower = new Follower({
      main: pair.openFollowed(),
      copies: pair.openCopies(),
      pollMs: 20,
      share: 1,
      log: silentLog,
      ...options,
    });
    open.push(follower);
    follower.start();
    return follower;
  }

  async function promoted(scope: string): Promise<unknown> {
    const copy = await pair.copies.readCopy("default", scope);
    if (copy === null || copy.broken !== null) return null;
    return {
      step: copy.promotedStep,
      states: copy.states.map(({ id, text, verified }): unknown => [id, verified && text]),
    };
  }

  async function untilPromoted(scope: string, step: bigint): Promise<unknown> {
    const copy = async (): Promise<unknown> => {
      const standing = await pair.copies.standing({ namespace: "default", scope });
      return standing?.broken === null && standing.promotedStep === step && promoted(scope);
    };
    return await until(copy, { what: `step ${step} of ${scope} in the rollback database` });
  }

  test("copies a main that was there before, in pages, large scopes in several", async () => {
    const { manager } = pair;
    const text = "x".repeat(500);
    for (let step = 1; step <= 3; step++) {
      const changes = Array.from({ length: 60 }, (_, n) => ({
        op: "update" as const,
        id: `large-${n}`,
        type: "note",
        data: { step, text },
      }));
      await manager.commit({ scope: "large", changes });
    }
    for (let n = 0; n < 30; n++) await manager.updateState(`old-${n}`, "note", { n });
    // What neighbors on the same server hold back comes by the feed once more, where such a step is too large for a page.
    await settled(pair.bench);
    const follower = follow({ page: { rows: 25, bytes: 5_000 } });
    const { states } = (await untilPromoted("large", 2n)) as { states: [string, string][] };
    expect(states).toHaveLength(60);
    for (const [, document] of states) expect(JSON.parse(document)).toEqual({ step: 2, text });
    for (let n = 0; n < 30; n++) await untilPromoted(`old-${n}`, 0n);
    await until(() => follower.figures.health === "ok");
    const { figures } = follower;
    expect(figures).toMatchObject({ lagMs: 0, changesBehind: 0, scopes: 31, broken: 0 });
    await manager.updateState("old-1", "note", { n: "new" });
    expect(await untilPromoted("old-1", 1n)).toMatchObject({ states: [["old-1", '{"n":1}']] });
    expect((await manager.scope("old-1")).rollbackStep).toBe(1n);
    await follower.stop();
  });

  test("promotes nothing of a scope on hold, and goes on when it is released", async () => {
    const { manager } = pair;
    const follower = follow();
    for (let n = 1; n <= 3; n++) await manager.updateState("held", "note", { n });
    await untilPromoted("held", 2n);
    await manager.hold("held");
    await until(
      async () => (await pair.copies.standing({ namespace: "default", scope: "held" }))!.hold,
    );
    await manager.rollback("held");
    const pending = async (): Promise<boolean> =>
      (await pair.copies.standing({ namespace: "default", scope: "held" }))!.pendingStep === 4n;
    await until(pending);
    expect(await promoted("held")).toMatchObject({ step: 2n });
    await manager.release("held");
    await manager.updateState("held", "note", { n: 5 });
    expect(await untilPromoted("held", 4n)).toMatchObject({ states: [["held", '{"n":2}']] });
    await follower.stop();
  });

  test("goes back with every rollback, also where that takes what was promoted", async () => {
    const { manager } = pair;
    const follower = follow();
    for (let n = 1; n <= 4; n++) await manager.updateState("back", "note", { n });
    await untilPromoted("back", 3n);
    expect((await manager.rollback("back")).source).toBe("rollback");
    await manager.rollback("back"); // two steps back: step 3 is quarantined as well
    expect(await untilPromoted("back", 2n)).toMatchObject({ states: [["back", '{"n":2}']] });
    await manager.updateState("back", "note", { n: 7 });
    expect(await untilPromoted("back", 6n)).toMatchObject({ states: [["back", '{"n":2}']] });
    await follower.stop();
  });

  test("starts over where main is not as far as it was, and keeps what main does not have any more", async () => {
    const { manager } = pair;
    const follower = follow();
    for (let n = 1; n <= 3; n++) await manager.updateState("went-back", "note", { n });
    await untilPromoted("went-back", 2n);
    await follower.stop();
    // As if files of an older backup had been put back: main's ids of transactions come again, and its newest step is gone.
    await pair.rollback.sql("update agent_state.follower set xid = xid + 1000000 where true");
    await pair.bench.sql(
      "delete from agent_state.changes c using agent_state.states s where s.state_no = c.state_no and s.id = 'went-back' and c.version = 3",
    );
    await manager.updateState("goes-on", "note", { n: 1 });
    const again = follow();
    await untilPromoted("goes-on", 0n);
    const standing = await pair.copies.standing({ namespace: "default", scope: "went-back" });
    expect(standing).toMatchObject({
      isSuspect: true,
      pendingStep: 3n,
      broken: "ahead of main: it holds step 3, main has 2",
    });
    await again.stop();
  });

  test("of two one follows, and the other takes over when the lease ran out", async () => {
    const { manager } = pair;
    const first = follow({ leaseMs: 300 });
    await manager.updateState("two", "note", { n: 1 });
    await untilPromoted("two", 0n);
    const copies = pair.openCopies();
    // One that hangs: it holds the lease and does nothing.
    await first.stop();
    const hung = await copies.takeLease("hung", 5_000); // until the other has come
    expect(hung.mine).toBe(true);
    const second = follow({ leaseMs: 300 });
    await until(() => second.figures.health === "waiting");
    await manager.updateState("two", "note", { n: 2 });
    await untilPromoted("two", 1n);
    const late = { changes: [], gates: [], moment: 0n, followedTo: null, settledAt: null };
    expect(await copies.follow(hung.epoch, late)).toBeNull();
    expect(await copies.fill(hung.epoch, { parts: [], changes: [], moment: 0n }, null)).toBeNull();
    await second.stop();
  });
});
