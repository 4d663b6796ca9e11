import { expect, test } from "vitest";
import type { ChangeRequest } from "../../../src/state/request.ts";
import { refusalOf, uniqueId } from "./case.ts";
import type { Face } from "./case.ts";

/** Several changes as one step: all of them or none. */
export function changesetContract(face: Face): void {
  test("all changes of a changeset are one step of its scope", async () => {
    const scope = uniqueId("scope");
    await face().updateState(`${scope}-a`, "shared", { list: [], n: 1 }, { scope });
    await face().updateState(`${scope}-b`, "shared", "b", { scope });
    const committed = await face().commit({
      scope,
      actor: "planner",
      cause: "a turn",
      changes: [
        { op: "append", id: `${scope}-a`, path: "/list", items: [1, 2] },
        { op: "delete", id: `${scope}-b` },
        { op: "update", id: `${scope}-c`, type: "task", data: {}, phase: "submitted" },
      ],
    });
    expect(committed).toMatchObject({ namespace: "default", scope, step: 3n, replayed: false });
    expect(committed.changes).toMatchObject([
      { id: `${scope}-a`, version: 2n, step: 3n, created: false },
      { id: `${scope}-b`, version: 2n, step: 3n, created: false },
      { id: `${scope}-c`, version: 1n, step: 3n, created: true, phase: "submitted" },
    ]);
    expect((await face().getState(`${scope}-a`)).data).toEqual({ list: [1, 2], n: 1 });
    const { items } = await face().history(`${scope}-c`);
    expect(items).toMatchObject([{ step: 3n, actor: "planner", cause: "a turn" }]);
  });

  test("every kind of change can be in a changeset", async () => {
    const scope = uniqueId("scope");
    const id = (name: string) => `${scope}-${name}`;
    const names = ["merge", "patch", "append", "delete", "update"];
    await face().commit({
      scope,
      changes: names.map((name) => ({
        ...({ op: "update", id: id(name), type: "shared" } as const),
        data: { a: [0] },
      })),
    });
    const changes: readonly ChangeRequest[] = [
      { op: "merge", id: id("merge"), patch: { b: 1 }, expectedVersion: 1n },
      { op: "patch", id: id("patch"), patch: [{ op: "remove", path: "/a" }], expectedVersion: 1n },
      { op: "append", id: id("append"), path: "/a", items: [1], expectedVersion: 1n },
      { op: "delete", id: id("delete"), expectedVersion: 1n },
      { op: "update", id: id("update"), type: "shared", data: 1, expectedVersion: 1n },
    ];
    const { step } = await face().commit({ scope, changes, expectedStep: 1n });
    expect(step).toBe(2n);
    const { items } = await face().scopeStates(scope);
    expect(Object.fromEntries(items.map((state) => [state.id, state.data]))).toEqual({
      [id("append")]: { a: [0, 1] },
      [id("merge")]: { a: [0], b: 1 },
      [id("patch")]: {},
      [id("update")]: 1,
    });
  });

  test.each<[string, string, (id: string) => ChangeRequest]>([
    ["a version conflict", "VERSION_CONFLICT", (id) => ({ op: "delete", id, expectedVersion: 9n })],
    [
      "a patch that does not apply",
      "INVALID_PATCH",
      (id) => ({ op: "patch", id, patch: [{ op: "remove", path: "/none" }] }),
    ],
    [
      "an illegal move",
      "ILLEGAL_TRANSITION",
      (id) => ({ op: "merge", id, patch: {}, phase: "completed" }),
    ],
    ["another type", "INVALID_TYPE", (id) => ({ op: "update", id, type: "agent", data: 1 })],
    ["a state that never was", "STATE_NOT_FOUND", (id) => ({ op: "delete", id: `${id}-never` })],
  ])("%s in one change leaves all of them undone", async (_name, code, wrong) => {
    const scope = uniqueId("scope");
    const [good, bad] = [`${scope}-good`, `${scope}-bad`];
    await face().updateState(good, "shared", "before", { scope });
    await face().updateState(bad, "task", { n: 1 }, { scope });
    const changes: readonly ChangeRequest[] = [
      { op: "update", id: good, type: "shared", data: "after" },
      { op: "update", id: `${scope}-new`, type: "shared", data: "new" },
      wrong(bad),
    ];
    expect((await refusalOf(face().commit({ scope, changes }))).code).toBe(code);
    expect(await face().getState(good)).toMatchObject({ version: 1n, data: "before" });
    expect((await face().getState(bad)).version).toBe(1n);
    expect((await refusalOf(face().getState(`${scope}-new`))).code).toBe("STATE_NOT_FOUND");
    expect((await face().scope(scope)).step).toBe(2n);
  });

  test("without a scope, a changeset is a step of the one its states are in", async () => {
    const scope = uniqueId("scope");
    const [a, b] = [`${scope}-a`, `${scope}-b`];
    await face().updateState(a, "shared", 1, { scope });
    await face().updateState(b, "shared", 1, { scope });
    const committed = await face().commit({
      changes: [
        { op: "merge", id: a, patch: 2 },
        { op: "merge", id: b, patch: 2 },
      ],
    });
    expect(committed).toMatchObject({ scope, step: 3n });
  });

  test("without a scope, a new state may join the scope that has its name", async () => {
    const scope = uniqueId("scope");
    await face().updateState(`${scope}-a`, "shared", 1, { scope });
    const changes: readonly ChangeRequest[] = [
      { op: "update", id: scope, type: "shared", data: 1 },
      { op: "merge", id: `${scope}-a`, patch: 2 },
    ];
    expect(await face().commit({ changes })).toMatchObject({ scope, step: 2n });
  });

  test.each<[string, readonly string[], RegExp]>([
    [
      "two that are new",
      ["new-1", "new-2"],
      /"\S+new-2" would begin scope "\S+new-2".*"\S+new-1" would begin/,
    ],
    ["one that is new", ["a", "new"], /"\S+new" would begin scope "\S+new".*"\S+a" is in scope/],
    ["states of two scopes", ["a", "b", "other"], /"\S+other" is in scope.*"\S+a" is in scope/],
  ])("without a scope, %s cannot make one step of it", async (_name, names, said) => {
    const scope = uniqueId("scope");
    const id = (name: string): string => `${scope}-${name}`;
    await face().updateState(id("a"), "shared", 1, { scope });
    await face().updateState(id("b"), "shared", 1, { scope });
    await face().updateState(id("other"), "shared", 1);
    const changes = names.map((name): ChangeRequest => {
      return { op: "update", id: id(name), type: "shared", data: 2 };
    });
    const idempotencyKey = uniqueId("key");
    const refusal = await refusalOf(face().commit({ changes, idempotencyKey }));
    expect(refusal).toMatchObject({ code: "INVALID_SCOPE", message: expect.stringMatching(said) });
    expect(refusal.message).toContain("`scope`");
    expect((await face().scope(scope)).step).toBe(2n);
    expect((await face().scope(id("other"))).step).toBe(1n);
    for (const name of ["new", "new-1", "new-2"]) {
      expect((await refusalOf(face().getState(id(name)))).code).toBe("STATE_NOT_FOUND");
      expect((await refusalOf(face().scope(id(name)))).code).toBe("SCOPE_NOT_FOUND");
    }
    if (names.includes("other")) return;
    const committed = await face().commit({ scope, changes, idempotencyKey });
    expect(committed).toMatchObject({ scope, step: 3n, replayed: false });
    expect(await face().commit({ scope, changes, idempotencyKey })).toEqual({
      ...committed,
      replayed: true,
      changes: committed.changes.map((change) => ({ ...change, replayed: true })),
    });
  });

  test("states of another scope cannot be in a changeset", async () => {
    const [scope, other] = [uniqueId("scope"), uniqueId("other")];
    await face().updateState(other, "shared", 1);
    const changes: readonly ChangeRequest[] = [
      { op: "update", id: scope, type: "shared", data: 1 },
      { op: "merge", id: other, patch: 2 },
    ];
    expect((await refusalOf(face().commit({ scope, changes }))).code).toBe("INVALID_SCOPE");
    expect((await refusalOf(face().getState(scope))).code).toBe("STATE_NOT_FOUND");
  });

  test("a changeset has 1 to 1,000 changes, each of another state", async () => {
    const scope = uniqueId("scope");
    const update = (id: string): ChangeRequest => ({ op: "update", id, type: "shared", data: 1 });
    const many = (count: number) =>
      Array.from({ length: count }, (_, n) => update(`${scope}-${n}`));
    const commit = (changes: readonly ChangeRequest[]) => face().commit({ scope, changes });
    expect((await refusalOf(commit([]))).code).toBe("INVALID_REQUEST");
    expect((await refusalOf(commit([update(scope), update(scope)]))).code).toBe("INVALID_REQUEST");
    expect((await refusalOf(commit(many(1_001)))).code).toBe("PAYLOAD_TOO_LARGE");
    expect((await commit(many(1_000))).changes).toHaveLength(1_000);
    expect((await face().scope(scope)).step).toBe(1n);
  });
}
