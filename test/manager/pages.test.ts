import { afterAll, beforeAll, expect, test } from "vitest";
import type { StateManager } from "../../src/manager/state-manager.ts";
import { PAGE_BYTES } from "../../src/state/page.ts";
import type { Change, State } from "../../src/state/state.ts";
import { readWholeFeed, settled } from "../model/audit.ts";
import { describeOnHomes } from "../support/homes.ts";
import { openBench } from "../support/manager.ts";
import type { Bench } from "../support/manager.ts";

/** So many documents, each of 1 MB, in two bytes a character: more than one page holds. */
const names = Array.from({ length: 12 }, (_, n) => `doc-${String(n).padStart(2, "0")}`);
const text = "é".repeat(500_000);
/** The ninth is the one that reaches 8 MiB. */
const whole = 9;

describeOnHomes("what is read at once has a bound in bytes", (home) => {
  let bench: Bench;
  let manager: StateManager;

  beforeAll(async () => {
    bench = await openBench(home);
    manager = bench.openManager();
    await Promise.all(
      names.map((id) => manager.updateState(id, "note", { id, text }, { scope: "large" })),
    );
    await settled(bench);
  });

  afterAll(() => bench.close());

  test("a page of a scope's states", async () => {
    const first = await manager.scopeStates("large", { limit: 1_000 });
    expect(first.items.map(({ id }) => id)).toEqual(names.slice(0, whole));
    expect(first.next).toBe(names[whole - 1]);
    const rest = await manager.scopeStates("large", {
      step: 12n,
      after: first.next!,
      limit: 1_000,
    });
    expect(rest.items.map(({ id }) => id)).toEqual(names.slice(whole));
    expect(rest).not.toHaveProperty("next");
  });

  test("and the states behind it are not even looked at", async () => {
    const namespace = "unreadable";
    for (const id of names)
      await manager.updateState(id, "note", { text }, { namespace, scope: "s" });
    await manager.patchState("doc-11", [{ op: "add", path: "/n", value: 1 }], { namespace });
    await bench.sql(
      `update agent_state.changes c set body = '{"p":[{"op":"remove","path":"/nowhere"}]}' from agent_state.states s
        where s.state_no = c.state_no and s.namespace = $1 and c.stored = 'd'`,
      [namespace],
    );
    const page = await manager.scopeStates("s", { namespace, limit: 1_000 });
    expect(page.items).toHaveLength(whole);
    await expect(
      manager.scopeStates("s", { namespace, limit: 1_000, after: page.next! }),
    ).rejects.toMatchObject({ code: "INTERNAL" });
  });

  test("a page of the feed, of which watchers miss nothing", async () => {
    const store = bench.openStore();
    const pages: number[] = [];
    const feed = await readWholeFeed(bench, store, {
      page: () => 1_000,
      onPage: (rows) => pages.push(rows.length),
    });
    expect(pages[0]).toBe(whole);
    const large = feed.filter(
      ({ namespace, scope }) => namespace === "default" && scope === "large",
    );
    expect(large.map(({ id }) => id).toSorted()).toEqual(names);
    const seen: string[] = [];
    for await (const { id, step } of manager.watch({ after: "0", scope: "large" })) {
      expect(step).toBe(BigInt(seen.push(id)));
      if (seen.length === names.length) break;
    }
    expect(seen.toSorted()).toEqual(names);
  });

  test("a page of the feed's newest end, which is read again at once", async () => {
    // Only the first look would come by itself in this time.
    const patient = bench.openManager({ pollMs: 600_000, keepChanges: 100 });
    const namespace = "live";
    const watch = patient.watch({ namespace })[Symbol.asyncIterator]();
    const next = async (): Promise<string> => ((await watch.next()).value as Change).id;
    const first = next();
    await patient.updateState("first", "note", 0, { namespace });
    const changes = names.map((id) => ({ op: "update", id, type: "note", data: text }) as const);
    await manager.commit({ namespace, scope: "one", changes });
    await settled(bench);
    await patient.updateState("poke", "note", 0, { namespace });
    // The poke's own change is not waited for: what neighbors on the same server have open may hide it.
    expect(await first).toBe("first");
    for (const name of names) expect(await next()).toBe(name);
    await watch.return?.();
  });

  test("the current states that the conflicts of a batch carry", async () => {
    const outcomes = await manager.commitBatch(
      names.map((id) => ({ changes: [{ op: "merge", id, patch: {}, expectedVersion: 9n }] })),
    );
    const currents = outcomes.map((outcome) => {
      if (outcome.ok) throw new Error("not refused");
      expect(outcome.error.code).toBe("VERSION_CONFLICT");
      return outcome.error.facts.current as unknown as State | undefined;
    });
    const carried = currents.filter((current) => current !== undefined);
    expect(carried).toHaveLength(whole);
    expect(carried.map(({ data }) => data)).toContainEqual({ id: carried[0]!.id, text });
    const [alone] = await manager.commitBatch([
      { changes: [{ op: "merge", id: "doc-11", patch: {}, expectedVersion: 9n }] },
    ]);
    expect(alone).toMatchObject({ error: { facts: { current: { id: "doc-11" } } } });
    expect(PAGE_BYTES).toBe(8 * 1024 * 1024);
  });
});
