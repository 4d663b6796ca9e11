import { expect, test } from "vitest";
import { refusalOf, refusalsOf, uniqueId } from "./case.ts";
import type { Face } from "./case.ts";

/** Writes that happen only where the caller is right about what there is. */
export function conditionContract(face: Face): void {
  test("a write at the expected version happens", async () => {
    const id = uniqueId();
    await face().updateState(id, "shared", 1);
    expect(await face().updateState(id, "shared", 2, { expectedVersion: 1n })).toMatchObject({
      version: 2n,
    });
    expect(await face().mergeState(id, 3, { expectedVersion: 2n })).toMatchObject({ version: 3n });
    expect(await face().deleteState(id, { expectedVersion: 3n })).toMatchObject({ version: 4n });
    expect(await face().updateState(id, "shared", 5, { expectedVersion: 4n })).toMatchObject({
      version: 5n,
      created: true,
    });
  });

  test("a write at another version is told the state as it is, and how it differs", async () => {
    const id = uniqueId();
    await face().updateState(id, "shared", { n: 1 });
    await face().updateState(id, "shared", { n: 2 });
    const call = face().updateState(id, "shared", { n: 3 }, { expectedVersion: 1n });
    const error = await refusalOf(call);
    expect(error).toMatchObject({
      code: "VERSION_CONFLICT",
      status: 409,
      facts: {
        mayHaveHappened: false,
        current: { id, type: "shared", version: "2", data: { n: 2 } },
        diff: [{ op: "replace", path: "/n", value: 3 }],
      },
    });
    expect((await face().getState(id)).data).toEqual({ n: 2 });
  });

  test("how a large document differs is told too, though little of it would have been sent", async () => {
    const id = uniqueId();
    const list = Array.from({ length: 500 }, (_, n) => `line ${n}`);
    for (const n of [1, 2]) await face().updateState(id, "shared", { n, list });
    await face().getState(id);
    const late = face().updateState(id, "shared", { n: 3, list }, { expectedVersion: 1n });
    expect((await refusalOf(late)).facts.diff).toEqual([{ op: "replace", path: "/n", value: 3 }]);
  });

  test("each kind of write has the condition", async () => {
    const id = uniqueId();
    await face().updateState(id, "shared", { list: [] });
    const late = { expectedVersion: 7n };
    const errors = await refusalsOf([
      face().updateState(id, "shared", {}, late),
      face().mergeState(id, { m: 1 }, late),
      face().patchState(id, [{ op: "add", path: "/a", value: 1 }], late),
      face().appendState(id, "/list", [1], late),
      face().deleteState(id, late),
      face().commit({ changes: [{ op: "delete", id, ...late }] }),
    ]);
    for (const error of errors) {
      expect(error.code).toBe("VERSION_CONFLICT");
      expect(error.facts.current).toMatchObject({ version: "1", data: { list: [] } });
    }
    expect(errors.map(({ facts }) => facts.diff)).toEqual([
      [{ op: "remove", path: "/list" }],
      [{ op: "add", path: "/m", value: 1 }],
      [{ op: "add", path: "/a", value: 1 }],
      [{ op: "add", path: "/list/0", value: 1 }],
      undefined,
      undefined,
    ]);
    expect((await face().getState(id)).version).toBe(1n);
  });

  test("a version is expected of a state that never was: a conflict, and nothing is created", async () => {
    const id = uniqueId();
    const call = face().updateState(id, "shared", 1, { expectedVersion: 1n });
    expect((await refusalOf(call)).code).toBe("VERSION_CONFLICT");
    expect((await refusalOf(face().getState(id))).code).toBe("STATE_NOT_FOUND");
    expect((await refusalOf(face().scope(id))).code).toBe("SCOPE_NOT_FOUND");
  });

  test("a write that may only create does so once, and again after a delete", async () => {
    const id = uniqueId();
    const create = (data: number) =>
      face().updateState(id, "shared", data, { expectedVersion: 0n });
    expect((await create(1)).created).toBe(true);
    const error = await refusalOf(create(2));
    expect(error).toMatchObject({
      code: "ALREADY_EXISTS",
      status: 409,
      facts: { current: { version: "1", data: 1 } },
    });
    await face().deleteState(id);
    expect(await create(3)).toMatchObject({ version: 3n, created: true });
  });

  test("a step is committed only after the expected one", async () => {
    const [id, scope] = [uniqueId(), uniqueId("scope")];
    const write = (expectedStep: bigint) =>
      face().updateState(id, "shared", String(expectedStep), { scope, expectedStep });
    expect((await refusalOf(write(1n))).code).toBe("STEP_CONFLICT");
    expect((await write(0n)).step).toBe(1n);
    expect((await write(1n)).step).toBe(2n);
    for (const wrong of [0n, 1n, 3n]) {
      expect(await refusalOf(write(wrong))).toMatchObject({ code: "STEP_CONFLICT", status: 409 });
    }
    expect((await face().scope(scope)).step).toBe(2n);
    expect((await face().getState(id)).data).toBe("1");
  });
}
