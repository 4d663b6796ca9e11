import { expect, test } from "vitest";
import { refusalOf, refusalsOf, uniqueId } from "./case.ts";
import type { Face } from "./case.ts";

/** The same write sent again: answered, not done. */
export function idempotencyContract(face: Face): void {
  test("a repeated write gets the first answer, also when others wrote since", async () => {
    const id = uniqueId();
    const options = { idempotencyKey: uniqueId("key"), actor: "a" };
    const first = await face().updateState(id, "shared", { n: 1 }, options);
    await face().updateState(id, "shared", { n: 2 });
    const again = await face().updateState(id, "shared", { n: 1 }, options);
    expect(first.replayed).toBe(false);
    expect(again).toEqual({ ...first, replayed: true });
    expect(await face().getState(id)).toMatchObject({ version: 2n, data: { n: 2 } });
  });

  test("a repeat is answered even where its condition no longer holds", async () => {
    const id = uniqueId();
    const options = { idempotencyKey: uniqueId("key"), expectedVersion: 0n };
    const first = await face().updateState(id, "shared", 1, options);
    expect(await face().updateState(id, "shared", 1, options)).toMatchObject({
      version: first.version,
      created: true,
      replayed: true,
    });
  });

  test("merges, patches, appends and deletes repeat as well", async () => {
    const id = uniqueId();
    await face().updateState(id, "shared", { list: [] });
    const writes = [
      (key: string) => face().mergeState(id, { n: 1 }, { idempotencyKey: key }),
      (key: string) =>
        face().patchState(id, [{ op: "add", path: "/m", value: 1 }], { idempotencyKey: key }),
      (key: string) => face().appendState(id, "/list", ["once"], { idempotencyKey: key }),
      (key: string) => face().deleteState(id, { idempotencyKey: key }),
    ];
    for (const write of writes) {
      const key = uniqueId("key");
      const first = await write(key);
      expect(await write(key)).toMatchObject({ version: first.version, replayed: true });
    }
    expect((await face().history(id)).items).toHaveLength(5);
    expect((await face().getState(id, { version: 4n })).data).toMatchObject({ list: ["once"] });
  });

  test("a key with other content is refused and changes nothing", async () => {
    const [id, other] = [uniqueId(), uniqueId()];
    const idempotencyKey = uniqueId("key");
    await face().updateState(id, "shared", { n: 1 }, { idempotencyKey });
    for (const error of await refusalsOf([
      face().updateState(id, "shared", { n: 2 }, { idempotencyKey }),
      face().updateState(other, "shared", { n: 1 }, { idempotencyKey }),
      face().deleteState(id, { idempotencyKey }),
    ])) {
      expect(error).toMatchObject({ code: "IDEMPOTENCY_KEY_REUSED", status: 422 });
    }
    expect(await face().getState(id)).toMatchObject({ version: 1n, data: { n: 1 } });
    expect((await refusalOf(face().getState(other))).code).toBe("STATE_NOT_FOUND");
  });

  test("a refused write leaves its key free", async () => {
    const id = uniqueId();
    const idempotencyKey = uniqueId("key");
    const late = { idempotencyKey, expectedVersion: 3n };
    expect((await refusalOf(face().updateState(id, "shared", 1, late))).code).toBe(
      "VERSION_CONFLICT",
    );
    expect(await face().updateState(id, "shared", 1, { idempotencyKey })).toMatchObject({
      version: 1n,
      replayed: false,
    });
  });

  test("a repeated changeset gets the first answer", async () => {
    const scope = uniqueId("scope");
    const changeset = {
      scope,
      idempotencyKey: uniqueId("key"),
      changes: [1, 2].map((n) => ({
        op: "update" as const,
        id: `${scope}-${n}`,
        type: "shared",
        data: n,
      })),
    };
    const first = await face().commit(changeset);
    const again = await face().commit(changeset);
    expect(again.replayed).toBe(true);
    expect(again.step).toBe(first.step);
    expect(again.changes.map(({ digest }) => digest)).toEqual(
      first.changes.map(({ digest }) => digest),
    );
    expect((await face().scope(scope)).step).toBe(1n);
  });

  test("each namespace has its own keys", async () => {
    const id = uniqueId();
    const idempotencyKey = uniqueId("key");
    await face().updateState(id, "shared", 1, { idempotencyKey });
    const there = { idempotencyKey, namespace: "elsewhere" };
    expect((await face().updateState(id, "shared", 2, there)).replayed).toBe(false);
  });

  test("twenty repeats at once are one write", async () => {
    const id = uniqueId();
    const options = { idempotencyKey: uniqueId("key") };
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => face().updateState(id, "shared", "x", options)),
    );
    expect(new Set(answers.map(({ version }) => version))).toEqual(new Set([1n]));
    expect(answers.filter(({ replayed }) => !replayed)).toHaveLength(1);
    expect((await face().history(id)).items).toHaveLength(1);
  });
}
