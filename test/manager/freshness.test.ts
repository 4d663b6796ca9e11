import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { describeOnHomes } from "../support/homes.ts";
import { proofLength } from "../support/length.ts";
import { openBench } from "../support/manager.ts";
import type { Bench } from "../support/manager.ts";
import { groups, Session } from "../support/session.ts";
import { until } from "../support/until.ts";

const numRuns = proofLength({ short: 15, full: 400 });

describeOnHomes("what a process keeps in memory", (home) => {
  let bench: Bench;
  let count = 0;

  beforeAll(async () => {
    bench = await openBench(home);
  });

  afterAll(() => bench.close());

  test("is never older than what its session wrote or was told, and always what that version holds", async () => {
    const managers = [bench.openManager({ pollMs: 3 }), bench.openManager({ pollMs: 3 })] as const;
    await fc.assert(
      fc.asyncProperty(groups, async (all) => {
        const session = new Session(managers, `run${++count}`);
        for (const group of all) await session.play(group);
        await session.compareWithDisk();
      }),
      { numRuns },
    );
    await Promise.all(managers.map((manager) => manager.close()));
  });

  test("follows what other processes write, delete and create again", async () => {
    const [here, there] = [bench.openManager(), bench.openManager()];
    await here.updateState("foreign", "note", { turn: 1 });
    expect(await there.getState("foreign")).toMatchObject({ version: 1n });
    await here.updateState("foreign", "note", { turn: 2 });
    await until(async () => (await there.getState("foreign")).version === 2n);
    await here.deleteState("foreign");
    await until(() =>
      there.getState("foreign").then(
        () => false,
        (error: unknown) => (error as { code: string }).code === "GONE",
      ),
    );
    await here.updateState("foreign", "note", { turn: 4 });
    expect(await until(() => there.getState("foreign"))).toMatchObject({
      version: 4n,
      data: { turn: 4 },
    });
  });

  test("is forgotten where more changed elsewhere than can be followed one by one", async () => {
    const [here, there] = [bench.openManager(), bench.openManager()];
    await there.updateState("many-0", "note", 0);
    const writes = Array.from({ length: 2_500 }, (_, i) =>
      here.updateState(`many-${i}`, "note", 1),
    );
    await Promise.all(writes);
    await until(async () => (await there.getState("many-0")).version === 2n);
  });

  test("cannot be changed by those who read it, nor by what they wrote it from", async () => {
    const manager = bench.openManager();
    const data = { list: [1], deep: { er: true } };
    await manager.updateState("frozen", "note", data);
    data.list.push(2);
    const state = await manager.getState("frozen");
    expect(state.data).toEqual({ list: [1], deep: { er: true } });
    expect(() => (state.data as { list: number[] }).list.push(3)).toThrow(TypeError);
    expect(() => Object.assign(state, { version: 9n })).toThrow(TypeError);
    expect(() => Object.assign((state.data as { deep: object }).deep, { er: false })).toThrow(
      TypeError,
    );
    await manager.appendState("frozen", "/list", [4]);
    expect((await manager.getState("frozen")).data).toEqual({ list: [1, 4], deep: { er: true } });
    expect(state.data).toEqual({ list: [1], deep: { er: true } });
    expect(Object.isFrozen((await manager.getState("frozen")).data)).toBe(true);
  });

  test("is passed by where a strong read asks, or a token is ahead", async () => {
    const here = bench.openManager();
    const deaf = bench.openManager({ pollMs: 1_000_000 });
    await here.updateState("strong", "note", 1);
    await deaf.getState("strong");
    await here.updateState("strong", "note", 2);
    expect((await deaf.getState("strong")).data).toBe(1); // it does not know: session reads may lag
    expect((await deaf.getState("strong", { minVersion: 2n })).data).toBe(2);
    await here.updateState("strong", "note", 3);
    const read = await deaf.readState("strong", { consistency: "strong" });
    expect(read).toMatchObject({ servedBy: "main", state: { data: 3 } });
    expect(await deaf.readState("strong", {})).toMatchObject({
      servedBy: "l1",
      state: { version: 3n },
    });
  });

  test("holds what was written where it is being read, and leaves out what nobody looks at", async () => {
    const manager = bench.openManager();
    const servedBy = async (id: string): Promise<string> =>
      (await manager.readState(id, {})).servedBy;
    await manager.updateState("looked-at", "note", 1);
    for (let turn = 2; turn < 5; turn++) {
      expect(await servedBy("looked-at")).toBe("l1");
      await manager.updateState("looked-at", "note", turn);
    }
    await manager.mergeState("looked-at", { turn: 5 });
    await manager.mergeState("looked-at", { turn: 6 });
    expect(await servedBy("looked-at")).toBe("l1");
    for (let turn = 1; turn < 4; turn++) await manager.updateState("unread", "note", turn);
    expect(await manager.readState("unread", {})).toMatchObject({
      servedBy: "main",
      state: { data: 3, version: 3n },
    });
    expect(await servedBy("unread")).toBe("l1");
    await manager.close();
  });

  test("is not reached by an id that spells another namespace's state", async () => {
    const manager = bench.openManager();
    await manager.updateState("secret", "note", 1, { namespace: "other" });
    expect(await manager.readState("secret", { namespace: "other" })).toMatchObject({
      servedBy: "l1",
    });
    for (const id of ["other\u001fsecret", "\u001fother\u001fsecret"]) {
      await expect(manager.getState(id)).rejects.toMatchObject({ code: "INVALID_ID" });
    }
    await manager.close();
  });

  test("does not mix a write with an older version's dates, where another process wrote between", async () => {
    const here = bench.openManager();
    const deaf = bench.openManager({ pollMs: 1_000_000 });
    await deaf.updateState("dates", "note", 1);
    await here.deleteState("dates");
    await here.updateState("dates", "note", 2, { expiresAt: new Date("2100-01-01") });
    await deaf.updateState("dates", "note", 3);
    const seen = await deaf.getState("dates");
    expect(seen).toEqual(await deaf.getState("dates", { consistency: "strong" }));
    expect(seen.expiresAt).toEqual(new Date("2100-01-01"));
  });

  test("is no older than what a repeated idempotency key was answered with", async () => {
    const here = bench.openManager();
    const deaf = bench.openManager({ pollMs: 1_000_000 });
    await deaf.updateState("replayed", "note", 1);
    await deaf.getState("replayed");
    const options = { idempotencyKey: "once" };
    await here.updateState("replayed", "note", 2, options);
    const again = await deaf.updateState("replayed", "note", 2, options);
    expect(again).toMatchObject({ replayed: true, version: 2n });
    expect((await deaf.getState("replayed")).version).toBe(2n);
  });
});
