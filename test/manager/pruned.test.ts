import { afterAll, beforeAll, expect, test } from "vitest";
import type { StateManager } from "../../src/manager/state-manager.ts";
import { settled } from "../model/audit.ts";
import { describeOnHomes } from "../support/homes.ts";
import { openBench } from "../support/manager.ts";
import type { Bench } from "../support/manager.ts";

describeOnHomes("pruning, wherever a call of it ends,", (home) => {
  let bench: Bench;
  let manager: StateManager;

  beforeAll(async () => {
    bench = await openBench(home);
    manager = bench.openManager({ fsck: { sweepMs: 0, statesPerSecond: 0 } });
  });

  afterAll(() => bench.close());

  /** Forgets all that may be, up to now; how many changes and keys that were. */
  async function prune(limit: number): Promise<number> {
    await settled(bench);
    const [row] = await bench.sql<{ count: number }>(
      "select agent_state_api.prune_history(clock_timestamp(), $1) as count",
      [limit],
    );
    return row!.count;
  }

  test("leaves nothing that looks like lost history", async () => {
    const scopes = ["talk-1", "talk-2", "talk-3"];
    for (let turn = 0; turn < 3; turn++) {
      for (const scope of scopes) {
        await manager.updateState(scope, "talk", { l: [], turn, pad: "x".repeat(500) });
        for (let n = 0; n < 3; n++) await manager.appendState(scope, "/l", [n]);
      }
    }
    let forgotten: number;
    do {
      forgotten = await prune(2);
      const { findings } = await manager.fsck({});
      expect(findings.map(({ id, detail }) => [id, detail])).toEqual([]);
      for (const scope of scopes) expect((await manager.scope(scope)).hold).toBe(false);
    } while (forgotten > 0);
    for (const scope of scopes) {
      expect((await manager.history(scope, {})).items.map(({ version }) => version)).toEqual([
        12n,
        11n,
        10n,
        9n,
      ]);
    }
  });

  test("never leaves a key whose answer it has forgotten", async () => {
    const scope = "keyed";
    const first = (n: number) =>
      manager.updateState(scope, "note", { n }, { idempotencyKey: `key-${n}` });
    for (let n = 1; n <= 9; n++) {
      await manager.updateState(`rests-${n}`, "note", n, { idempotencyKey: `rests-${n}` });
    }
    for (let n = 1; n <= 6; n++) await first(n);
    while ((await prune(2)) > 0) {
      const kept = await bench.sql<{ key: string; answers: boolean }>(
        `select k.key, exists (select from agent_state.changes c where c.scope_no = k.scope_no and c.step = k.step) as answers
           from agent_state.idempotency_keys k`,
      );
      expect(kept.filter(({ answers }) => !answers)).toEqual([]);
    }
    expect(await first(1)).toMatchObject({ replayed: false, version: 7n });
  });

  test("is told by a scope as it was at a step that it cannot tell any more", async () => {
    const scope = "seen";
    const write = (id: string, data: number) => manager.updateState(id, "note", data, { scope });
    await write("seen.a", 1);
    await write("seen.b", 2);
    await write("seen.a", 3);
    await write("seen.c", 4);
    await prune(1_000);
    for (const step of [1n, 2n]) {
      await expect(manager.scopeStates(scope, { step })).rejects.toMatchObject({
        code: "HISTORY_PRUNED",
        message: expect.stringContaining('"seen.a" was at step'),
      });
    }
    const at = async (step: bigint): Promise<unknown[]> =>
      (await manager.scopeStates(scope, { step })).items.map(({ id, data }) => [id, data]);
    expect(await at(3n)).toEqual([
      ["seen.a", 3],
      ["seen.b", 2],
    ]);
    expect((await at(4n)).length).toBe(3);
  });
});
