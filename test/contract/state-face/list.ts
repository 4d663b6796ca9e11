import { expect, test } from "vitest";
import type { ListOptions } from "../../../src/state/request.ts";
import { refusalOf, uniqueId } from "./case.ts";
import type { Face } from "./case.ts";

/** Lists in pages: states by id, history newest first. */
export function listContract(face: Face): void {
  const idsOf = async (options: ListOptions) =>
    (await face().list(options)).items.map(({ id }) => id);

  test("states are listed by id, without their documents and without the deleted", async () => {
    const prefix = uniqueId("list");
    for (const name of ["c", "a", "b"]) await face().updateState(prefix + name, "shared", name);
    await face().deleteState(`${prefix}b`);
    const { items, next } = await face().list({ idPrefix: prefix });
    expect(items.map(({ id }) => id)).toEqual([`${prefix}a`, `${prefix}c`]);
    expect(next).toBeUndefined();
    expect(items[0]).toMatchObject({ namespace: "default", type: "shared", version: 1n, step: 1n });
    expect(items[0]).not.toHaveProperty("data");
    expect(items[0]!.createdAt).toBeInstanceOf(Date);
  });

  test("pages follow each other without a gap or a double, while others write", async () => {
    const prefix = uniqueId("page");
    const ids = Array.from({ length: 7 }, (_, n) => `${prefix}-${n}`);
    for (const id of ids) await face().updateState(id, "shared", 1);
    const seen: string[] = [];
    let after: string | undefined;
    do {
      const from = after === undefined ? {} : { after };
      const page = await face().list({ idPrefix: prefix, limit: 3, ...from });
      seen.push(...page.items.map(({ id }) => id));
      after = page.next;
      await face().updateState(ids[0]!, "shared", seen.length);
    } while (after !== undefined);
    expect(seen).toEqual(ids);
  });

  test("a list can be of one type, scope or phase", async () => {
    const prefix = uniqueId("filter");
    const scope = `${prefix}-scope`;
    await face().updateState(`${prefix}-1`, "shared", 1);
    await face().updateState(`${prefix}-2`, "task", 1, { scope });
    await face().updateState(`${prefix}-3`, "task", 1);
    await face().mergeState(`${prefix}-3`, 2, { phase: "ready" });
    const of = (options: ListOptions) => idsOf({ idPrefix: prefix, ...options });
    expect(await of({ type: "task" })).toEqual([`${prefix}-2`, `${prefix}-3`]);
    expect(await of({ scope })).toEqual([`${prefix}-2`]);
    expect(await of({ type: "task", phase: "ready" })).toEqual([`${prefix}-3`]);
    expect(await of({ phase: "submitted" })).toEqual([`${prefix}-2`]);
    expect(await of({ type: "agent" })).toEqual([]);
    expect(await idsOf({ scope, namespace: "elsewhere" })).toEqual([]);
  });

  test("a prefix is taken as it is, not as a pattern", async () => {
    const prefix = uniqueId("like");
    for (const tail of ["%x", "_x", "\\x", "ax"]) {
      await face().updateState(prefix + tail, "shared", 1);
    }
    for (const tail of ["%", "_", "\\"]) {
      expect(await idsOf({ idPrefix: prefix + tail })).toEqual([`${prefix}${tail}x`]);
    }
  });

  test("history tells what each version did, newest first", async () => {
    const id = uniqueId();
    const idempotencyKey = uniqueId("key");
    const first = await face().updateState(
      id,
      "task",
      { n: 1 },
      { actor: "me", cause: "why\nnot" },
    );
    const second = await face().mergeState(id, { n: 2 }, { phase: "ready", idempotencyKey });
    const third = await face().deleteState(id);
    const { items, next } = await face().history(id);
    expect(next).toBeUndefined();
    expect(items).toMatchObject([
      { version: 3n, step: 3n, kind: "delete", digest: third.digest },
      { version: 2n, kind: "update", phase: "ready", idempotencyKey, digest: second.digest },
      { version: 1n, actor: "me", cause: "why\nnot", idempotencyKey: null, digest: first.digest },
    ]);
    expect(items[2]!.at).toEqual(first.updatedAt);
    for (const entry of items) {
      expect(["full", "delta"]).toContain(entry.stored);
      expect(entry.storedBytes).toBeGreaterThanOrEqual(0);
    }
  });

  test("history comes in pages", async () => {
    const id = uniqueId();
    for (let n = 1; n <= 5; n++) await face().updateState(id, "shared", n);
    const first = await face().history(id, { limit: 2 });
    expect(first.items.map(({ version }) => version)).toEqual([5n, 4n]);
    const second = await face().history(id, { limit: 2, before: BigInt(first.next!) });
    expect(second.items.map(({ version }) => version)).toEqual([3n, 2n]);
    const third = await face().history(id, { limit: 2, before: BigInt(second.next!) });
    expect(third.items.map(({ version }) => version)).toEqual([1n]);
    expect(third.next).toBeUndefined();
  });

  test("a page has 1 to 1,000 items", async () => {
    const id = uniqueId();
    await face().updateState(id, "shared", 1);
    for (const limit of [0, 1_001]) {
      expect((await refusalOf(face().list({ limit }))).code).toBe("INVALID_LIMIT");
      expect((await refusalOf(face().history(id, { limit }))).code).toBe("INVALID_LIMIT");
      expect((await refusalOf(face().scopeStates(id, { limit }))).code).toBe("INVALID_LIMIT");
    }
    expect((await face().list({ idPrefix: id, limit: 1_000 })).items).toHaveLength(1);
  });
}
