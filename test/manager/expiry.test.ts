import { afterAll, beforeAll, expect, test } from "vitest";
import { describeOnPostgres } from "../support/homes.ts";
import { openBench } from "../support/manager.ts";
import type { Bench } from "../support/manager.ts";
import { until } from "../support/until.ts";

describeOnPostgres("a state with a time to go", (home) => {
  let bench: Bench;

  beforeAll(async () => {
    bench = await openBench(home);
  });

  afterAll(() => bench.close());

  const soon = (ms = 300): Date => new Date(performance.timeOrigin + performance.now() + ms);

  test("is gone when its time has come, for everybody, and leaves a tombstone that says why", async () => {
    const [here, there] = [bench.openManager(), bench.openManager()];
    await here.updateState("brief", "note", 1);
    expect((await there.getState("brief")).data).toBe(1);
    await here.updateState("brief", "note", 2, { expiresAt: soon() });
    for (const manager of [here, there]) {
      await until(() =>
        manager.getState("brief").then(
          () => false,
          (error: unknown) => (error as { code: string }).code === "GONE",
        ),
      );
    }
    const [newest] = await until(async () => {
      const { items } = await here.history("brief");
      return items[0]?.kind === "delete" ? items : undefined;
    });
    expect(newest).toMatchObject({
      version: 3n,
      kind: "delete",
      cause: "expired",
      actor: "agent_runtime",
    });
    const { items } = await here.list();
    expect(items.map(({ id }) => id)).not.toContain("brief");
  });

  test("stays where it was given more time, or all of it, before", async () => {
    const manager = bench.openManager();
    // Long enough for all that is written before, on a busy machine too.
    const expiresAt = soon(3_000);
    await Promise.all(
      ["witness", "longer", "forever", "kept"].map((id) =>
        manager.updateState(id, "note", 1, { expiresAt }),
      ),
    );
    await manager.updateState("longer", "note", 2, { expiresAt: new Date("2100-01-01") });
    await manager.updateState("forever", "note", 2, { expiresAt: null });
    await manager.updateState("kept", "note", 2);
    await manager.mergeState("kept", { merged: true });
    const gone = async (id: string): Promise<boolean> =>
      (await manager.history(id)).items[0]!.cause === "expired";
    await until(() => gone("witness"));
    expect((await manager.getState("longer")).expiresAt).toEqual(new Date("2100-01-01"));
    expect((await manager.getState("forever")).expiresAt).toBeNull();
    expect([await gone("longer"), await gone("forever")]).toEqual([false, false]);
    await until(() => gone("kept"));
  });

  test("waits on a scope that is on hold, and holds up nobody else", async () => {
    const manager = bench.openManager();
    await manager.updateState("held", "note", 1, { expiresAt: soon(1_500) });
    await bench.sql(
      `insert into agent_state.holds (scope_no) select scope_no from agent_state.states where id = 'held'`,
    );
    await manager.updateState("free", "note", 1, { expiresAt: soon() });
    await until(async () => (await manager.history("free")).items[0]!.cause === "expired");
    expect((await manager.history("held")).items).toHaveLength(1);
    await bench.sql("delete from agent_state.holds where true");
    await until(async () => (await manager.history("held")).items[0]!.cause === "expired");
  });
});
