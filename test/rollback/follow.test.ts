import { afterAll, beforeAll, expect, test } from "vitest";
import { describeOnPostgres } from "../support/homes.ts";
import { HandFollower, openPair } from "../support/rollback.ts";
import type { Pair } from "../support/rollback.ts";

describeOnPostgres("a copy", (home) => {
  let pair: Pair;
  let follower: HandFollower;

  beforeAll(async () => {
    pair = await openPair(home);
    follower = await HandFollower.begin(pair);
  });

  afterAll(async () => await pair.close());

  async function copyOf(
    scope: string,
  ): Promise<{ step: bigint; pending: bigint; broken: string | null; states: unknown }> {
    const copy = (await pair.copies.readCopy("default", scope))!;
    const states = copy.states.map(({ id, text, verified }): [string, unknown, boolean] => [
      id,
      JSON.parse(text),
      verified,
    ]);
    return {
      step: copy.promotedStep,
      pending: copy.pendingStep,
      broken: copy.broken,
      states: Object.fromEntries(states.map(([id, data, ok]) => [id, ok ? data : "forged"])),
    };
  }

  test("is one step behind, whatever a step did", async () => {
    const { manager } = pair;
    const scope = "run";
    const steps: [() => Promise<unknown>, unknown][] = [
      [() => manager.updateState("a", "note", { n: 1 }, { scope }), {}],
      [() => manager.updateState("b", "note", [1], { scope }), { a: { n: 1 } }],
      [() => manager.mergeState("a", { m: 2 }), { a: { n: 1 }, b: [1] }],
      [() => manager.appendState("b", "", [2, 3]), { a: { n: 1, m: 2 }, b: [1] }],
      [() => manager.deleteState("a"), { a: { n: 1, m: 2 }, b: [1, 2, 3] }],
      [() => manager.updateState("a", "note", null, { scope }), { b: [1, 2, 3] }],
      [() => manager.updateState("b", "note", 7), { a: null, b: [1, 2, 3] }],
    ];
    for (const [index, [write, held]] of steps.entries()) {
      await write();
      expect(await follower.drain()).toEqual([]);
      const step = BigInt(index);
      expect(await copyOf(scope)).toEqual({
        step,
        pending: step + 1n,
        broken: null,
        states: held,
      });
    }
  });

  test("takes many steps of many scopes in one page, and forgets what nobody needs", async () => {
    const { manager, rollback } = pair;
    for (let round = 0; round < 20; round++) {
      const writes = Array.from({ length: 10 }, (_, n) =>
        manager.updateState(`many-${n}`, "note", { round }),
      );
      await Promise.all(writes);
    }
    expect(await follower.drain()).toEqual([]);
    for (let n = 0; n < 10; n++) {
      const states = { [`many-${n}`]: { round: 18 } };
      expect(await copyOf(`many-${n}`)).toEqual({ step: 19n, pending: 20n, broken: null, states });
    }
    const [kept] = await rollback.sql(
      `select count(*)::int as n from agent_state.changes c join agent_state.states s using (state_no) where s.id like 'many-%'`,
    );
    expect(kept).toEqual({ n: 20 });
  });
});
