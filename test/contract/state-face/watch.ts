import { expect, test } from "vitest";
import { applyPatch } from "../../../src/state/patch.ts";
import type { Json } from "../../../src/state/json.ts";
import type { WatchOptions } from "../../../src/state/request.ts";
import type { Change } from "../../../src/state/state.ts";
import { refusalOf, uniqueId } from "./case.ts";
import type { Face } from "./case.ts";

/** Every change reaches every watcher, each scope in step order, whatever breaks off. */
export function watchContract(face: Face): void {
  const take = async (count: number, options: WatchOptions): Promise<Change[]> => {
    const changes: Change[] = [];
    for await (const change of face().watch(options)) {
      changes.push(change);
      if (changes.length === count) break;
    }
    return changes;
  };

  test("a watch from the start shows each change with its document", async () => {
    const id = uniqueId("task");
    const first = await face().updateState(id, "task", { n: 1 }, { actor: "me", cause: "start" });
    await face().mergeState(id, { n: 2 }, { phase: "ready" });
    await face().deleteState(id);
    const changes = await take(3, { scope: id, after: "0" });
    const common = { namespace: "default", scope: id, id, type: "task" };
    expect(changes).toMatchObject([
      { ...common, step: 1n, version: 1n, kind: "update", data: { n: 1 }, actor: "me" },
      { ...common, step: 2n, version: 2n, kind: "update", data: { n: 2 }, phase: "ready" },
      { ...common, step: 3n, version: 3n, kind: "delete", data: null, actor: null, cause: null },
    ]);
    expect(changes[0]).toMatchObject({ digest: first.digest, at: first.updatedAt, cause: "start" });
    expect(new Set(changes.map(({ cursor }) => cursor)).size).toBe(3);
  });

  test("a watch that resumes from any cursor misses nothing and repeats nothing", async () => {
    const scope = uniqueId("scope");
    for (let n = 1; n <= 6; n++)
      await face().updateState(`${scope}-${n % 2}`, "shared", n, { scope });
    const all = await take(6, { scope, after: "0" });
    for (const [at, { cursor }] of all.slice(0, -1).entries()) {
      const rest = await take(5 - at, { scope, after: cursor });
      expect(rest.map(({ step }) => step)).toEqual(all.slice(at + 1).map(({ step }) => step));
    }
  });

  test("changes of one step keep their order, and a watch can resume between them", async () => {
    const scope = uniqueId("scope");
    const ids = ["z", "a", "m"].map((name) => `${scope}-${name}`);
    await face().commit({
      scope,
      changes: ids.map((id) => ({ op: "update", id, type: "shared", data: id })),
    });
    const all = await take(3, { scope, after: "0" });
    expect(all.map(({ id }) => id)).toEqual(ids);
    const [next] = await take(1, { scope, after: all[0]!.cursor });
    expect(next!.id).toBe(ids[1]);
  });

  test("where a change comes with a patch, the patch leads from the version before to its document", async () => {
    const id = uniqueId();
    const text = "long enough that a delta is worth it ".repeat(50);
    await face().updateState(id, "shared", { text, list: [], n: 0 });
    for (let n = 1; n <= 5; n++) await face().appendState(id, "/list", [{ n }]);
    await face().mergeState(id, { n: 1, more: { a: null } });
    await face().patchState(id, [{ op: "remove", path: "/list/0" }]);
    const changes = await take(8, { id, after: "0" });
    for (const [at, change] of changes.entries()) {
      const { data } = await face().getState(id, { version: change.version });
      expect(change.data).toEqual(data);
      if (change.patch === undefined) continue;
      expect(applyPatch(changes[at - 1]!.data as Json, change.patch)).toEqual(data);
    }
  });

  test("a watch can be of one state or one type, and leave the documents out", async () => {
    const scope = uniqueId("scope");
    const note = `${scope}-note`;
    await face().updateState(scope, "shared", 1, { scope });
    await face().updateState(note, "note", 2, { scope });
    await face().updateState(scope, "shared", 3);
    const ofNote = await take(1, { scope, type: "note", after: "0" });
    expect(ofNote[0]!.id).toBe(note);
    const ofState = await take(2, { id: scope, after: "0", data: false });
    expect(ofState.map(({ version }) => version)).toEqual([1n, 2n]);
    expect(ofState[0]).not.toHaveProperty("data");
  });

  test("a watch sees only its namespace", async () => {
    const scope = uniqueId("scope");
    await face().updateState(scope, "shared", "there", { namespace: "elsewhere" });
    await face().updateState(scope, "shared", "here");
    const [here] = await take(1, { scope, after: "0" });
    expect(here!.data).toBe("here");
    const [there] = await take(1, { scope, after: "0", namespace: "elsewhere" });
    expect(there).toMatchObject({ namespace: "elsewhere", data: "there" });
  });

  test("a watch without a cursor shows what comes from now on", async () => {
    const id = uniqueId();
    await face().updateState(id, "shared", "before");
    await take(1, { id, after: "0" }); // Now it is settled: "from now on" leaves out only what is.
    const first = take(1, { id });
    // When a watch has begun, nobody tells: there is a write until one is seen.
    let change: Change | undefined;
    for (let n = 0; change === undefined && n < 10_000; n++) {
      const write = face().updateState(id, "shared", n);
      change = await Promise.race([first.then(([one]) => one), write.then(() => undefined)]);
    }
    expect(change!.version).toBeGreaterThan(1n);
  });

  test("a watcher sees all that many writers do, each scope in step order", async () => {
    const scopes = Array.from({ length: 4 }, () => uniqueId("busy"));
    await face().updateState(scopes[0]!, "shared", "first");
    const [{ cursor }] = (await take(1, { scope: scopes[0]!, after: "0" })) as [Change];
    const left = new AbortController();
    const steps = new Map<string, bigint[]>(scopes.map((scope) => [scope, []]));
    let seen = 0;
    const watching = (async () => {
      for await (const { scope, step } of face().watch({ after: cursor, signal: left.signal })) {
        if (!steps.has(scope)) continue;
        steps.get(scope)!.push(step);
        if (++seen === 200) break;
      }
    })();
    await Promise.all(
      Array.from({ length: 200 }, (_, n) => face().updateState(scopes[n % 4]!, "shared", n)),
    );
    await watching;
    left.abort();
    for (const [at, scope] of scopes.entries()) {
      const from = at === 0 ? 2 : 1;
      expect(steps.get(scope)).toEqual(Array.from({ length: 50 }, (_, n) => BigInt(n + from)));
    }
  });

  test("a signal ends a watch, also one that waits", async () => {
    const left = new AbortController();
    const waiting = take(1, { id: uniqueId(), signal: left.signal });
    setTimeout(() => left.abort(), 20);
    expect(await waiting).toEqual([]);
  });

  test("a watcher that leaves while it waits is let go", async () => {
    const changes = face().watch({ id: uniqueId() })[Symbol.asyncIterator]();
    const waiting = changes.next();
    expect(await changes.return!()).toEqual({ done: true, value: undefined });
    expect(await waiting).toEqual({ done: true, value: undefined });
    expect(await changes.next()).toEqual({ done: true, value: undefined });
  });

  test("a cursor that is none is refused", async () => {
    for (const after of ["not a cursor!", 5, null]) {
      const error = await refusalOf(take(1, { after: after as string }));
      expect(error.code).toBe("INVALID_CURSOR");
    }
  });

  test("a signal that is none is refused", async () => {
    const error = await refusalOf(take(1, { signal: {} as AbortSignal }));
    expect(error.code).toBe("INVALID_REQUEST");
  });
}
