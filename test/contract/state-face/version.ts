import { expect, test } from "vitest";
import { refusalOf, refusalsOf, uniqueId } from "./case.ts";
import type { Face } from "./case.ts";

/** One state's versions: counted up, never back, not even by a delete. */
export function versionContract(face: Face): void {
  test("a new state starts at version 1 and counts one up with every change", async () => {
    const id = uniqueId();
    const first = await face().updateState(id, "shared", { n: 1 });
    const second = await face().updateState(id, "shared", { n: 2 });
    const third = await face().mergeState(id, { n: 3 });
    expect([first, second, third].map(({ version }) => version)).toEqual([1n, 2n, 3n]);
    expect([first.created, second.created]).toEqual([true, false]);
    expect(first).toMatchObject({ id, type: "shared", scope: id, step: 1n, phase: null });
    expect(first.digest).toMatch(/^[0-9a-f]{64}$/);
    expect(new Set([first.digest, second.digest, third.digest]).size).toBe(3);
    expect(first.updatedAt).toBeInstanceOf(Date);
  });

  test("a read tells what was written last, and when it was created", async () => {
    const id = uniqueId();
    const created = await face().updateState(id, "shared", { a: [1, { b: "é😀" }] });
    const written = await face().updateState(id, "shared", { a: null });
    const state = await face().getState(id);
    expect(state).toMatchObject({
      namespace: "default",
      id,
      type: "shared",
      scope: id,
      version: 2n,
      step: 2n,
      phase: null,
      data: { a: null },
      digest: written.digest,
      expiresAt: null,
    });
    expect(state.createdAt).toEqual(created.updatedAt);
    expect(state.updatedAt).toEqual(written.updatedAt);
  });

  test("an old version is read as it was", async () => {
    const id = uniqueId();
    for (const n of [1, 2, 3]) await face().updateState(id, "shared", { n, same: "x" });
    expect((await face().getState(id, { version: 2n })).data).toEqual({ n: 2, same: "x" });
    expect((await face().getState(id, { version: 1n })).version).toBe(1n);
    expect(await refusalOf(face().getState(id, { version: 4n }))).toMatchObject({
      code: "VERSION_NOT_FOUND",
    });
  });

  test("what never was is not found", async () => {
    const id = uniqueId();
    for (const error of await refusalsOf([
      face().getState(id),
      face().history(id),
      face().diff(id),
      face().mergeState(id, {}),
      face().deleteState(id),
    ])) {
      expect(error.code).toBe("STATE_NOT_FOUND");
    }
  });

  test("a delete leaves a tombstone; created again, the versions go on", async () => {
    const id = uniqueId();
    await face().updateState(id, "shared", "old");
    const deleted = await face().deleteState(id);
    expect(deleted).toMatchObject({ version: 2n, created: false });
    expect((await refusalOf(face().getState(id))).code).toBe("GONE");
    expect((await refusalOf(face().mergeState(id, {}))).code).toBe("GONE");
    expect((await refusalOf(face().deleteState(id))).code).toBe("GONE");
    expect((await face().getState(id, { version: 1n })).data).toBe("old");

    const again = await face().updateState(id, "shared", "new");
    expect(again).toMatchObject({ version: 3n, step: 3n, created: true });
    expect((await face().getState(id)).data).toBe("new");
    const { items } = await face().history(id);
    expect(items.map(({ kind }) => kind)).toEqual(["update", "delete", "update"]);
  });

  test("the type of a state never changes, not even across a delete", async () => {
    const id = uniqueId();
    await face().updateState(id, "shared", 1);
    expect((await refusalOf(face().updateState(id, "note", 2))).code).toBe("INVALID_TYPE");
    await face().deleteState(id);
    expect((await refusalOf(face().updateState(id, "note", 3))).code).toBe("INVALID_TYPE");
    expect((await face().updateState(id, "shared", 4)).version).toBe(3n);
  });

  test("the scope of a state never changes", async () => {
    const [id, scope] = [uniqueId(), uniqueId("scope")];
    expect((await face().updateState(id, "shared", 1, { scope })).scope).toBe(scope);
    const other = { scope: uniqueId("other") };
    expect((await refusalOf(face().updateState(id, "shared", 2, other))).code).toBe(
      "INVALID_SCOPE",
    );
    expect((await face().updateState(id, "shared", 3)).scope).toBe(scope);
    expect((await face().getState(id)).scope).toBe(scope);
  });

  test("the same id in two namespaces is two states", async () => {
    const id = uniqueId();
    const namespace = "elsewhere";
    await face().updateState(id, "shared", "here");
    const there = await face().updateState(id, "note", "there", { namespace });
    expect(there).toMatchObject({ namespace, version: 1n, created: true });
    expect((await face().getState(id)).data).toBe("here");
    expect((await face().getState(id, { namespace })).data).toBe("there");
    await face().deleteState(id, { namespace });
    expect((await face().getState(id)).version).toBe(1n);
  });

  test("a read of any consistency sees what this session wrote", async () => {
    const id = uniqueId();
    const { version } = await face().updateState(id, "shared", 1);
    for (const consistency of ["strong", "session", "eventual"] as const) {
      expect((await face().getState(id, { consistency, minVersion: version })).version).toBe(1n);
    }
  });

  test("a wish to expire is kept by later writes, and can be taken back", async () => {
    const id = uniqueId();
    const expiresAt = new Date("2099-01-01T00:00:00.000Z");
    await face().updateState(id, "shared", 1, { expiresAt });
    await face().updateState(id, "shared", 2);
    expect((await face().getState(id)).expiresAt).toEqual(expiresAt);
    await face().updateState(id, "shared", 3, { expiresAt: null });
    expect((await face().getState(id)).expiresAt).toBeNull();
  });

  test("ids of any printable text come back as they are", async () => {
    const prefix = uniqueId("x");
    for (const tail of [
      "ünï çø∂é",
      "😀",
      "a?b&c=d#e",
      "100%",
      "a%2Fb",
      "a+b",
      "x:y",
      '"q"',
      "...",
    ]) {
      const id = `${prefix} ${tail}`;
      const written = await face().updateState(id, "shared", { tail }, { scope: `${id}!` });
      expect(written).toMatchObject({ id, scope: `${id}!` });
      expect((await face().getState(id)).data).toEqual({ tail });
      expect((await face().history(id)).items).toHaveLength(1);
      expect((await face().scope(`${id}!`)).step).toBe(1n);
    }
  });
}
