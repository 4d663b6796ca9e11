import { expect, test } from "vitest";
import type { Json } from "../../../src/state/json.ts";
import { refusalOf, uniqueId } from "./case.ts";
import type { Face } from "./case.ts";

const MIB = 1024 * 1024;

/** What happens to documents: replaced, merged, patched, appended to, compared. */
export function documentContract(face: Face): void {
  test.each<[string, Json]>([
    ["null", null],
    ["a number", -1.5e-7],
    ["the largest exact number", Number.MAX_SAFE_INTEGER],
    ["a text", 'é😀\u2028"\\'],
    ["an empty object", {}],
    ["a field with an empty name", { "": [] }],
    ["fields that JavaScript knows", { constructor: 1, toString: { prototype: 2 } }],
    ["64 levels", nested(64)],
    ["1 MiB", "x".repeat(MIB - 2)],
  ])("%s comes back as it is", async (_name, data) => {
    const id = uniqueId();
    await face().updateState(id, "shared", data);
    expect((await face().getState(id, { consistency: "strong" })).data).toEqual(data);
    expect((await face().getState(id, { version: 1n })).data).toEqual(data);
  });

  test("fields keep their order", async () => {
    const id = uniqueId();
    await face().updateState(id, "shared", { z: 1, a: { y: 2, b: 3 } });
    const { data } = await face().getState(id, { consistency: "strong" });
    expect(JSON.stringify(data)).toBe('{"z":1,"a":{"y":2,"b":3}}');
  });

  test("a document that was read cannot be changed in place", async () => {
    const id = uniqueId();
    await face().updateState(id, "shared", { list: [{ n: 1 }] });
    const data = (await face().getState(id)).data as { list: { n: number }[] };
    expect(() => (data.list[0]!.n = 2)).toThrow(TypeError);
    expect(() => data.list.push({ n: 3 })).toThrow(TypeError);
  });

  test("a merge patch replaces what it names and removes what it sets to null", async () => {
    const id = uniqueId();
    await face().updateState(id, "shared", { keep: 1, drop: 2, deep: { a: 1, b: 2 } });
    await face().mergeState(id, { drop: null, deep: { b: null, c: 3 }, add: [1] });
    const expected = { keep: 1, deep: { a: 1, c: 3 }, add: [1] };
    expect((await face().getState(id)).data).toEqual(expected);
    expect((await face().getState(id, { version: 2n })).data).toEqual(expected);
  });

  test("a JSON Patch applies all of its operations", async () => {
    const id = uniqueId();
    await face().updateState(id, "shared", { "a/b": 1, list: [1, 2, 3], "m~n": "x" });
    await face().patchState(id, [
      { op: "test", path: "/a~1b", value: 1 },
      { op: "replace", path: "/a~1b", value: 2 },
      { op: "remove", path: "/list/0" },
      { op: "add", path: "/list/-", value: 4 },
      { op: "move", from: "/m~0n", path: "/moved" },
      { op: "copy", from: "/list", path: "/copied" },
    ]);
    const expected = { "a/b": 2, list: [2, 3, 4], moved: "x", copied: [2, 3, 4] };
    expect((await face().getState(id)).data).toEqual(expected);
    expect((await face().getState(id, { version: 2n })).data).toEqual(expected);
  });

  test("a JSON Patch of which one operation fails changes nothing", async () => {
    const id = uniqueId();
    await face().updateState(id, "shared", { n: 1 });
    const patch = [
      { op: "replace", path: "/n", value: 2 },
      { op: "test", path: "/n", value: 99 },
    ] as const;
    expect((await refusalOf(face().patchState(id, patch))).code).toBe("INVALID_PATCH");
    expect(await face().getState(id)).toMatchObject({ version: 1n, data: { n: 1 } });
  });

  test.each(["move", "copy"] as const)("a %s may not lead deeper than 64 levels", async (op) => {
    const id = uniqueId();
    await face().updateState(id, "shared", { a: nested(40), b: { c: nested(24) }, d: 1 });
    const patch = (path: string) => face().patchState(id, [{ op, from: "/a", path }]);
    const refusal = await refusalOf(patch(`/b/c${"/0".repeat(22)}/-`));
    expect(refusal.code).toBe("INVALID_DATA");
    expect(refusal.message).toContain("64 levels");
    await patch(`/b/c${"/0".repeat(21)}/-`);
    expect((await face().getState(id, { consistency: "strong" })).version).toBe(2n);
  });

  test("copies of copies are refused before they are deep or large", async () => {
    const id = uniqueId();
    await face().updateState(id, "shared", { a: [[]] });
    const doubled = Array.from({ length: 30 }, (_, n) => {
      return { op: "copy", from: "/a", path: `/a${"/0".repeat(n + 1)}` } as const;
    });
    expect((await refusalOf(face().patchState(id, doubled))).code).toBe("INVALID_DATA");
    const grown = doubled.map((operation) => ({ ...operation, path: "/a/-" }));
    expect((await refusalOf(face().patchState(id, grown))).code).toBe("INVALID_PATCH");
    expect((await face().getState(id, { consistency: "strong" })).version).toBe(1n);
  });

  test("an append adds to the end of an array, however often", async () => {
    const id = uniqueId();
    await face().updateState(id, "shared", { turns: [], "a~/b": [[0]] });
    for (let turn = 0; turn < 30; turn++) await face().appendState(id, "/turns", [{ turn }]);
    await face().appendState(id, "/a~0~1b/0", [1, 2]);
    const { data, version } = await face().getState(id);
    expect(data).toEqual({
      turns: Array.from({ length: 30 }, (_, turn) => ({ turn })),
      "a~/b": [[0, 1, 2]],
    });
    expect(version).toBe(32n);
    expect((await face().getState(id, { version: 11n })).data).toMatchObject({
      turns: Array.from({ length: 10 }, (_, turn) => ({ turn })),
    });
  });

  test("an append takes any number of items", async () => {
    const id = uniqueId();
    await face().updateState(id, "shared", { list: [] }, { scope: id });
    const items = Array.from({ length: 2_500 }, (_, n) => n);
    const written = await face().appendState(id, "/list", items, { expectedVersion: 1n });
    expect(written).toMatchObject({ id, type: "shared", scope: id, version: 2n, created: false });
    await face().appendState(id, "/list", []);
    expect((await face().getState(id)).data).toEqual({ list: items });
  });

  test("the whole document can be the array that grows", async () => {
    const id = uniqueId();
    await face().updateState(id, "shared", []);
    await face().appendState(id, "", ["a"]);
    expect((await face().getState(id)).data).toEqual(["a"]);
  });

  test("a diff says what changed, for programs and for people", async () => {
    const id = uniqueId();
    await face().updateState(id, "shared", { a: 1, b: [1] });
    await face().updateState(id, "shared", { a: 2, b: [1] });
    await face().updateState(id, "shared", { a: 2, b: [1, 2] });
    const newest = await face().diff(id);
    expect(newest).toMatchObject({ id, from: 2n, to: 3n });
    expect(newest.patch).toEqual([{ op: "add", path: expect.any(String), value: 2 }]);
    expect(newest.readable).toContain("/b");
    const first = await face().diff(id, { from: 1n, to: 2n });
    expect(first.patch).toEqual([{ op: "replace", path: "/a", value: 2 }]);
    expect((await face().diff(id, { from: 2n, to: 2n })).patch).toEqual([]);
    expect((await refusalOf(face().diff(id, { to: 9n }))).code).toBe("VERSION_NOT_FOUND");
  });
}

function nested(levels: number): Json {
  let value: Json = [];
  for (let level = 1; level < levels; level++) value = [value];
  return value;
}
