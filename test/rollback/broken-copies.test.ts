import { afterAll, beforeAll, expect, test } from "vitest";
import type { ScopeCopy } from "../../src/state/recovery-ports.ts";
import { describeOnPostgres } from "../support/homes.ts";
import { HandFollower, openPair } from "../support/rollback.ts";
import type { Pair } from "../support/rollback.ts";

describeOnPostgres("a copy that cannot be right", (home) => {
  let pair: Pair;
  let hand: HandFollower;

  beforeAll(async () => {
    pair = await openPair(home);
    hand = await HandFollower.begin(pair);
  });

  afterAll(async () => await pair.close());

  async function write(scope: string, upTo: number, from = 1): Promise<void> {
    for (let n = from; n <= upTo; n++) await pair.manager.updateState(scope, "note", { n });
  }

  async function copyOf(scope: string): Promise<ScopeCopy> {
    return (await pair.copies.readCopy("default", scope))!;
  }

  test("takes nothing of a scope where main's digest does not follow, until somebody has looked", async () => {
    const { bench } = pair;
    await write("forged", 3);
    await write("sound", 1);
    await hand.drain();
    await write("forged", 4, 4);
    await write("sound", 2, 2);
    await bench.sql(
      `update agent_state.changes c set body = '{"n": "forged"}' from agent_state.states s
        where s.state_no = c.state_no and s.id = 'forged' and c.version = 4`,
    );
    const why = "main's forged version 4 differs: its digest";
    expect(await hand.drain()).toEqual([
      { namespace: "default", scope: "forged", need: "suspect", why, id: "forged", version: 4n },
    ]);
    expect(await copyOf("forged")).toMatchObject({ broken: why, pendingStep: 3n, states: [] });
    expect(await copyOf("sound")).toMatchObject({ broken: null, promotedStep: 1n });
    expect(await pair.copies.toRebuild(10)).toEqual([]);
    await bench.sql(
      `update agent_state.changes c set body = '{"n":4}' from agent_state.states s
        where s.state_no = c.state_no and s.id = 'forged' and c.version = 4`,
    );
    expect(await pair.copies.discard({ namespace: "default", scope: "forged" }, "looked")).toBe(
      true,
    );
    await hand.rebuild();
    expect(await copyOf("forged")).toMatchObject({ broken: null, promotedStep: 3n });
  });

  test("says so where it was changed itself, and goes nowhere", async () => {
    await write("rotten", 2);
    await hand.drain();
    await pair.rollback.sql(
      `update agent_state.changes c set body = '{"n": 9}' from agent_state.states s
        where s.state_no = c.state_no and s.id = 'rotten' and c.version = 1`,
    );
    expect((await copyOf("rotten")).states).toMatchObject([{ id: "rotten", verified: false }]);
    await expect(pair.manager.rollback("rotten")).rejects.toMatchObject({ code: "COPY_DIVERGES" });
    const key = { namespace: "default", id: "rotten", version: 1n };
    expect(await pair.copies.change(key)).toBeNull();
    expect(await pair.copies.change({ ...key, version: 2n })).toMatchObject({ body: '{"n":2}' });
    const digests = await pair.copies.digests({ namespace: "default", scope: "rotten" });
    expect(digests.map(({ verified }) => verified)).toEqual([false, true]);
  });

  test("is made anew where steps are missing, and keeps what it held until it is whole again", async () => {
    await write("gap", 3);
    await hand.drain();
    await write("gap", 5, 4);
    await hand.settled();
    await hand.read(1); // this page is lost
    await hand.drain();
    expect(await copyOf("gap")).toMatchObject({ broken: "a step is missing", pendingStep: 3n });
    const held = await pair.copies.digests({ namespace: "default", scope: "gap" });
    expect(held).toHaveLength(2);
    await hand.rebuild();
    expect(await copyOf("gap")).toMatchObject({ broken: null, promotedStep: 4n, pendingStep: 5n });
  });

  test("is not made smaller where main knows less: it is what is left", async () => {
    const { bench } = pair;
    await write("ahead", 5);
    await hand.drain();
    // As if main had been restored to an earlier state.
    await bench.sql(
      `delete from agent_state.changes c using agent_state.states s
        where s.state_no = c.state_no and s.id = 'ahead' and c.version > 3`,
    );
    await pair.rollback.sql(
      `update agent_state.scopes set broken = 'made anew', rebuild = true where scope = 'ahead'`,
    );
    await hand.rebuild();
    expect(await copyOf("ahead")).toMatchObject({
      broken: "ahead of main: it holds step 5, main has 3",
      pendingStep: 5n,
      promotedStep: 4n,
    });
    const digests = await pair.copies.digests({ namespace: "default", scope: "ahead" });
    expect(digests.map(({ version }) => version)).toEqual([4n, 5n]);
    expect(await pair.copies.toRebuild(10)).toEqual([]);
  });

  test("of a step that is too large for a page is made from history, page by page", async () => {
    const changes = (n: number): { op: "update"; id: string; type: string; data: unknown }[] =>
      Array.from({ length: 40 }, (_, id) => ({
        op: "update",
        id: `big-${id}`,
        type: "note",
        data: { n },
      }));
    for (const n of [1, 2])
      await pair.manager.commit({ scope: "big", changes: changes(n) as never });
    await hand.settled();
    const skipped = await hand.read(10);
    expect(skipped.changes.length).toBeLessThan(40);
    expect(await hand.take(skipped)).toMatchObject([{ need: "rebuild" }]);
    expect((await hand.read(10)).gates).toMatchObject([{ scope: "big", skipped: true }]);
    await hand.rebuild({ rows: 7, bytes: 1_000_000 });
    const copy = await copyOf("big");
    expect(copy).toMatchObject({ broken: null, promotedStep: 1n, pendingStep: 2n });
    expect(new Set(copy.states.map(({ text }) => text))).toEqual(new Set(['{"n":1}']));
    expect(copy.states).toHaveLength(40);
  });

  test("of a main that forgot the step before HEAD is served from the next one on", async () => {
    const { bench } = pair;
    await write("pruned", 4);
    await hand.settled(); // else it may not be forgotten yet
    await bench.sql("select agent_state_api.prune_history(now() + interval '1 hour', 1000)");
    await hand.drain();
    await hand.rebuild();
    expect((await copyOf("pruned")).broken).toBe(
      "main had forgotten its step 3 when it was copied",
    );
    await write("pruned", 5, 5);
    await hand.drain();
    const copy = await copyOf("pruned");
    expect(copy).toMatchObject({ broken: null, promotedStep: 4n });
    expect(copy.states).toMatchObject([{ text: '{"n":4}', verified: true }]);
  });
});
