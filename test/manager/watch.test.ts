import { afterAll, beforeAll, expect, test } from "vitest";
import type { StateManager } from "../../src/manager/state-manager.ts";
import type { WatchOptions } from "../../src/state/request.ts";
import type { Change } from "../../src/state/state.ts";
import { describeOnHomes } from "../support/homes.ts";
import { openBench } from "../support/manager.ts";
import type { Bench } from "../support/manager.ts";

describeOnHomes("a watch", (home) => {
  let bench: Bench;
  let manager: StateManager;
  let count = 0;

  beforeAll(async () => {
    bench = await openBench(home);
    manager = bench.openManager({ keepChanges: 50 });
  });

  afterAll(() => bench.close());

  /** A few changes of every kind in a namespace of their own. */
  async function someChanges(): Promise<{ namespace: string; from: string }> {
    const namespace = `n${++count}`;
    const from = await manager.feedHead();
    await manager.updateState("a", "note", { l: [], pad: "x".repeat(600) }, { namespace });
    await manager.appendState("a", "/l", [1, 2], { namespace });
    await manager.updateState(
      "b",
      "task",
      { b: 1 },
      { namespace, scope: "team", actor: "ann", cause: "why" },
    );
    await manager.mergeState("a", { pad: null, m: 1 }, { namespace });
    await manager.patchState("b", [{ op: "replace", path: "/b", value: 2 }], { namespace });
    await manager.deleteState("a", { namespace });
    await manager.updateState("c", "note", [], { namespace, scope: "team" });
    return { namespace, from };
  }

  async function take(
    from: StateManager,
    wanted: number,
    options: WatchOptions,
  ): Promise<Change[]> {
    const changes: Change[] = [];
    for await (const change of from.watch(options)) {
      changes.push(change);
      if (changes.length === wanted) break;
    }
    return changes;
  }

  test("brings each change with its document, whatever history keeps of it", async () => {
    const { namespace, from } = await someChanges();
    const changes = await take(manager, 7, { namespace, after: from });
    const byName = changes.map(({ id, version, kind, data }) => [id, Number(version), kind, data]);
    const pad = "x".repeat(600);
    expect(byName).toHaveLength(7);
    expect(byName).toEqual(
      expect.arrayContaining([
        ["a", 1, "update", { l: [], pad }],
        ["a", 2, "update", { l: [1, 2], pad }],
        ["a", 3, "update", { l: [1, 2], m: 1 }],
        ["a", 4, "delete", null],
        ["b", 1, "update", { b: 1 }],
        ["b", 2, "update", { b: 2 }],
        ["c", 1, "update", []],
      ]),
    );
    expect(changes.find(({ id }) => id === "b")).toMatchObject({
      scope: "team",
      step: 1n,
      actor: "ann",
      cause: "why",
      phase: "submitted",
    });
    const [bare] = await take(manager, 1, { namespace, after: from, data: false });
    expect(bare).not.toHaveProperty("data");
  });

  test("resumes behind every cursor, here, at another process, and from memory or from disk", async () => {
    const { namespace, from } = await someChanges();
    const all = await take(manager, 7, { namespace, after: from });
    const other = bench.openManager({ keepChanges: 1 });
    for (const [index, { cursor }] of all.entries()) {
      for (const at of [manager, other]) {
        const rest = await take(at, all.length - 1 - index || 1, {
          namespace,
          after: index === 6 ? from : cursor,
        });
        expect(rest.map(({ cursor }) => cursor)).toEqual(
          (index === 6 ? all.slice(0, 1) : all.slice(index + 1)).map(({ cursor }) => cursor),
        );
      }
    }
  });

  test.each<[string, WatchOptions, string[]]>([
    ["id", { id: "b" }, ["b@1", "b@2"]],
    ["scope", { scope: "team" }, ["b@1", "b@2", "c@1"]],
    ["type", { type: "task" }, ["b@1", "b@2"]],
    ["all of them", { id: "c", scope: "team", type: "note" }, ["c@1"]],
  ])("brings only what fits, by %s", async (_name, filter, wanted) => {
    const { namespace, from } = await someChanges();
    await manager.updateState("z", "end", 0, { namespace });
    const seen: string[] = [];
    const ends = take(manager, 1, { namespace, after: from, id: "z" });
    for await (const { id, version } of manager.watch({ namespace, after: from, ...filter })) {
      seen.push(`${id}@${version}`);
      if (seen.length === wanted.length) break;
    }
    await ends;
    expect(seen.toSorted()).toEqual(wanted);
  });

  test("of 200 brings all of it to each, while one that stands still holds nobody up", async () => {
    const namespace = `n${++count}`;
    const after = await manager.feedHead();
    const lazy = manager.watch({ namespace, after })[Symbol.asyncIterator]();
    const watchers = Array.from({ length: 200 }, () => take(manager, 120, { namespace, after }));
    await manager.updateState("first", "note", 0, { namespace });
    await lazy.next();
    // More than is kept in memory, in bursts.
    for (let burst = 0; burst < 7; burst++) {
      await Promise.all(
        Array.from({ length: 17 }, (_, i) =>
          manager.updateState(`s${i}`, "note", burst, { namespace }),
        ),
      );
    }
    const seen = await Promise.all(watchers);
    const [first] = seen;
    expect(first).toHaveLength(120);
    for (const changes of seen)
      expect(changes.map(({ cursor }) => cursor)).toEqual(first!.map(({ cursor }) => cursor));
    const late: string[] = [];
    while (late.length < 119) late.push(((await lazy.next()).value as Change).cursor);
    expect(late).toEqual(first!.slice(1).map(({ cursor }) => cursor));
    await lazy.return?.();
  });

  test("without a cursor brings what comes from now on", async () => {
    const namespace = `n${++count}`;
    const iterator = manager.watch({ namespace })[Symbol.asyncIterator]();
    const next = iterator.next();
    // It listens once it has asked where the feed stands.
    const poke = setInterval(() => void manager.updateState("now", "note", 1, { namespace }), 20);
    const { value } = (await next) as { value: Change };
    clearInterval(poke);
    expect(value.id).toBe("now");
    await iterator.return?.();
  });

  test("sees what other processes commit, in step order", async () => {
    const namespace = `n${++count}`;
    const after = await manager.feedHead();
    const other = bench.openManager();
    await Promise.all(
      Array.from({ length: 60 }, (_, i) =>
        (i % 2 === 0 ? manager : other).updateState(`s${i % 5}`, "note", i, {
          namespace,
          scope: "one",
        }),
      ),
    );
    const changes = await take(manager, 60, { namespace, after });
    expect(changes.map(({ step }) => Number(step))).toEqual(
      Array.from({ length: 60 }, (_, i) => i + 1),
    );
  });

  test("ends with its signal and with its manager, and refuses what is no cursor", async () => {
    const { namespace } = await someChanges();
    const controller = new AbortController();
    const other = bench.openManager();
    const watches = [
      take(other, 1, { namespace, signal: controller.signal }),
      take(other, 1, { namespace }),
    ];
    controller.abort();
    expect(await watches[0]).toEqual([]);
    await other.close();
    expect(await watches[1]).toEqual([]);
    await expect(take(manager, 1, { after: "yesterday" })).rejects.toMatchObject({
      code: "INVALID_CURSOR",
    });
  });
});
