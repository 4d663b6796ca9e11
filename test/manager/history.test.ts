import { afterAll, beforeAll, expect, test } from "vitest";
import type { StateManager } from "../../src/manager/state-manager.ts";
import type { Json } from "../../src/state/json.ts";
import type { WatchOptions } from "../../src/state/request.ts";
import type { Change } from "../../src/state/state.ts";
import { settled } from "../model/audit.ts";
import { describeOnHomes } from "../support/homes.ts";
import { openBench } from "../support/manager.ts";
import type { Bench } from "../support/manager.ts";
import { until } from "../support/until.ts";

describeOnHomes("history", (home) => {
  let bench: Bench;
  let manager: StateManager;

  beforeAll(async () => {
    bench = await openBench(home);
    manager = bench.openManager();
  });

  afterAll(() => bench.close());

  async function take(wanted: number, options: WatchOptions): Promise<Change[]> {
    const changes: Change[] = [];
    for await (const change of manager.watch(options)) {
      changes.push(change);
      if (changes.length === wanted) break;
    }
    return changes;
  }

  /** Versions of a state whose history holds full copies and deltas; what each version is. */
  async function write(id: string, namespace: string): Promise<Map<bigint, Json>> {
    const versions = new Map<bigint, Json>();
    const keep = async (written: Promise<{ version: bigint }>): Promise<void> => {
      const { version } = await written;
      versions.set(version, (await manager.getState(id, { namespace, version })).data);
    };
    for (let round = 0; round < 4; round++) {
      await keep(
        manager.updateState(id, "note", { round, l: [], pad: "x".repeat(2_000) }, { namespace }),
      );
      for (let turn = 0; turn < 5; turn++)
        await keep(manager.appendState(id, "/l", [turn], { namespace }));
    }
    return versions;
  }

  /** The moment before which the given version of a state is history. */
  async function momentAfter(id: string, version: bigint, namespace: string): Promise<Date> {
    const { items } = await manager.history(id, { namespace, limit: 1_000 });
    return new Date(items.find((entry) => entry.version === version)!.at.getTime() + 1);
  }

  async function prune(before: Date, limit = 1_000): Promise<number> {
    const [row] = await bench.sql<{ count: number }>(
      "select agent_state_api.prune_history($1, $2) as count",
      [before, limit],
    );
    return row!.count;
  }

  test("older than a moment goes, a bounded number a call; what is kept stays readable and chained", async () => {
    const namespace = "prune";
    const versions = await write("a", namespace);
    await manager.updateState("still", "note", "never changed again", {
      namespace,
      scope: "quiet",
    });
    await settled(bench);
    const before = await momentAfter("a", 15n, namespace); // two full copies lie before it: 1, 7 and 13
    expect(await prune(before, 5)).toBe(6); // a full copy goes with the deltas upon it
    expect(await prune(before, 100)).toBe(6);
    expect(await prune(before, 100)).toBe(0);
    const { items } = await manager.history("a", { namespace });
    expect(items.map(({ version }) => Number(version))).toEqual(
      Array.from({ length: 12 }, (_, i) => 24 - i),
    );
    for (const { version } of items) {
      expect((await manager.getState("a", { namespace, version })).data).toEqual(
        versions.get(version),
      );
    }
    await expect(manager.getState("a", { namespace, version: 12n })).rejects.toMatchObject({
      code: "VERSION_NOT_FOUND",
    });
    await expect(manager.diff("a", { namespace, from: 1n, to: 24n })).rejects.toMatchObject({
      code: "VERSION_NOT_FOUND",
    });
    const checks = await bench.sql(
      "select agent_state_api.verify_state($1, id) as broken from unnest(array['a', 'still']) id",
      [namespace],
    );
    expect(checks).toEqual([{ broken: null }, { broken: null }]);
    // Everything is older than tomorrow, and yet the newest of each state and scope is kept.
    await prune(new Date("2100-01-01"));
    expect((await manager.getState("a", { namespace, consistency: "strong" })).data).toEqual(
      versions.get(24n),
    );
    expect((await manager.getState("still", { namespace, consistency: "strong" })).data).toBe(
      "never changed again",
    );
    expect(await manager.scope("a", { namespace })).toMatchObject({ step: 24n });
    expect(await manager.scope("quiet", { namespace })).toMatchObject({ step: 1n });
    await manager.appendState("a", "/l", ["goes on"], {
      namespace,
      expectedVersion: 24n,
      expectedStep: 24n,
    });
  });

  test("that is gone is a GAP to a watcher that was not yet there; it resumes where it is told", async () => {
    const namespace = "gap";
    const start = await manager.feedHead();
    await write("b", namespace);
    const all = await take(24, { namespace, after: start });
    await settled(bench);
    await prune(await momentAfter("b", 15n, namespace));
    for (const after of [start, all[3]!.cursor, all[10]!.cursor]) {
      const gap = await take(1, { namespace, after }).catch((error: unknown) => error);
      expect(gap).toMatchObject({ code: "GAP", facts: { resumeFrom: expect.any(String) } });
      const { resumeFrom } = (gap as { facts: { resumeFrom: string } }).facts;
      const rest = await take(12, { namespace, after: resumeFrom });
      expect(rest.map(({ version, data }) => [version, data])).toEqual(
        all.slice(12).map(({ version, data }) => [version, data]),
      );
    }
    const rest = await take(12, { namespace, after: "0" });
    expect(rest.map(({ cursor }) => cursor)).toEqual(all.slice(12).map(({ cursor }) => cursor));
    const [next] = await take(1, { namespace, after: all[11]!.cursor });
    expect(next!.cursor).toBe(all[12]!.cursor); // nothing that it has not seen is gone
  });

  test("that a cursor is ahead of, as files of an older backup were put back, is a GAP", async () => {
    const namespace = "ahead";
    const start = await manager.feedHead();
    await manager.updateState("ahead", "note", 1, { namespace });
    const [seen] = await take(1, { namespace, after: start });
    const [lineage, xid, ...place] = seen!.cursor.split("-");
    const later = (Number.parseInt(xid!, 36) + 1_000).toString(36);
    const after = [lineage, later, ...place].join("-");
    const gap = await take(1, { namespace, after }).catch((error: unknown) => error);
    expect(gap).toMatchObject({ code: "GAP", facts: { resumeFrom: expect.any(String) } });
    await manager.updateState("ahead", "note", 2, { namespace });
    const [next] = await take(1, { namespace, after: seen!.cursor });
    expect(next).toMatchObject({ version: 2n });
  });

  test("that is kept comes to a watch from 0, also what is older than what is gone; then it is live", async () => {
    const namespace = "quiet";
    const start = await manager.feedHead();
    await manager.updateState("old", "note", "never changed again", { namespace });
    await write("b", namespace);
    const all = await take(25, { namespace, after: start });
    await settled(bench);
    await prune(await momentAfter("b", 15n, namespace));
    const kept = [all[0]!, ...all.slice(13)];
    const seen: Change[] = [];
    for await (const change of manager.watch({ namespace, after: "0" })) {
      seen.push(change);
      if (seen.length === kept.length) await manager.mergeState("old", "live", { namespace });
      if (seen.length > kept.length) break;
    }
    expect(seen.slice(0, -1)).toEqual(kept);
    expect(seen.at(-1)).toMatchObject({ id: "old", version: 2n, data: "live" });
    // Of what lies between such a cursor and what follows, something is gone.
    await expect(take(1, { namespace, after: kept[0]!.cursor })).rejects.toMatchObject({
      code: "GAP",
    });
    expect((await take(1, { namespace, after: all[12]!.cursor }))[0]).toEqual(kept[1]);
  });

  test("that goes while a watch is on its way there is a GAP; from 0, what is kept comes", async () => {
    const namespace = "overtaken";
    const start = await manager.feedHead();
    // More than is read at once, and then what will go.
    const changes = Array.from({ length: 1_000 }, (_, n) => {
      return { op: "update", id: `filler-${n}`, type: "note", data: n } as const;
    });
    await manager.commit({ namespace, scope: "filler", changes });
    await manager.updateState("old", "note", 1, { namespace });
    await write("b", namespace);
    await settled(bench);
    const [from0, fromStart] = ["0", start].map((after) =>
      manager.watch({ namespace, after })[Symbol.asyncIterator](),
    );
    await from0!.next();
    await fromStart!.next();
    await prune(await momentAfter("b", 15n, namespace));
    const rest: string[] = [];
    while (rest.length < 999 + 1 + 12) {
      const { id, version } = (await from0!.next()).value as Change;
      rest.push(`${id}@${version}`);
    }
    const versions = Array.from({ length: 12 }, (_, n) => `b@${n + 13}`);
    expect(rest.slice(999)).toEqual(["old@1", ...versions]);
    await from0!.return?.();
    const toItsEnd = async (): Promise<void> => {
      while ((await fromStart!.next()).done !== true);
    };
    await expect(toItsEnd()).rejects.toMatchObject({ code: "GAP" });
  });

  test("whose full copy goes before a watch looks at it comes without its document", async () => {
    const namespace = "base";
    const start = await manager.feedHead();
    const pad = "x".repeat(2_000);
    for (const id of ["x", "y"])
      await manager.updateState(id, "note", { l: [], pad }, { namespace });
    for (const id of ["x", "y"]) await manager.appendState(id, "/l", [1], { namespace });
    for (const id of ["x", "y"]) await manager.updateState(id, "note", "whole", { namespace });
    const all = await take(6, { namespace, after: start });
    await settled(bench);
    const other = bench.openManager(); // It has seen none of the documents.
    const watch = other.watch({ namespace, after: all[1]!.cursor })[Symbol.asyncIterator]();
    expect((await watch.next()).value).toEqual(all[2]);
    await prune(await momentAfter("y", 3n, namespace));
    const { data, patch, ...bare } = all[3]!;
    expect([data, patch]).toEqual([{ l: [1], pad }, [{ op: "add", path: "/l/-", value: 1 }]]);
    expect((await watch.next()).value).toEqual(bare);
    expect((await watch.next()).value).toEqual(all[4]);
    expect((await watch.next()).value).toEqual(all[5]);
    await watch.return?.();
  });

  test("is pruned by the manager itself, by its days", async () => {
    const namespace = "days";
    await write("c", namespace);
    await settled(bench);
    await bench.sql(
      "update agent_state.changes set at = at - interval '3 days' where state_no = (select state_no from agent_state.states where namespace = $1)",
      [namespace],
    );
    bench.openManager({ historyDays: 2 });
    await until(
      async () => (await manager.history("c", { namespace, limit: 1_000 })).items.length === 6,
    );
  });

  test("restored into another cluster is adopted: former cursors are a GAP, new ones work", async () => {
    const namespace = "adopt";
    await manager.updateState("before", "note", 1, { namespace: "former" });
    const before = await take(1, { after: "0", namespace: "former" });
    const [was] = await bench.sql<{ adopted: boolean }>(
      "select agent_state_api.adopt_history() as adopted",
    );
    expect(was).toEqual({ adopted: false }); // at home, nothing is to be done
    await manager.updateState("d", "note", 1, { namespace, scope: "one" });
    await manager.updateState("e", "note", 1, { namespace, scope: "one" });
    // As after a restore: transaction ids that this cluster will only reach in ages.
    await bench.sql(
      "update agent_state.changes set feed_xid = (feed_xid::text::bigint + 1000000000000)::text::xid8 where true",
    );
    const [row] = await bench.sql<{ adopted: boolean }>(
      "select agent_state_api.adopt_history() as adopted",
    );
    expect(row).toEqual({ adopted: true });
    await manager.updateState("d", "note", 2, { namespace });
    const gap = await take(1, { namespace, after: before[0]!.cursor }).catch(
      (error: unknown) => error,
    );
    expect(gap).toMatchObject({ code: "GAP" });
    const { resumeFrom } = (gap as { facts: { resumeFrom: string } }).facts;
    for (const after of [resumeFrom, "0"]) {
      const changes = await take(3, { namespace, after });
      expect(changes.map(({ id, step }) => [id, Number(step)])).toEqual([
        ["d", 1],
        ["e", 2],
        ["d", 3],
      ]);
    }
  });
});
