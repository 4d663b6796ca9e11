import { expect, test } from "vitest";
import type { BatchOutcome } from "../../../src/state/face.ts";
import type { Json } from "../../../src/state/json.ts";
import type { Changeset } from "../../../src/state/request.ts";
import { refusalOf, uniqueId } from "./case.ts";
import type { Face } from "./case.ts";

/** Many changesets at once, each with its own fate. */
export function batchContract(face: Face): void {
  test("one that is refused does not touch the others, and each is answered in its place", async () => {
    const [a, b, c] = [uniqueId(), uniqueId(), uniqueId()];
    await face().updateState(b, "shared", "before");
    const outcomes = await face().commitBatch([
      { changes: [{ op: "update", id: a, type: "shared", data: 1 }], actor: "x" },
      { changes: [{ op: "merge", id: b, patch: 2, expectedVersion: 5n }] },
      { changes: [{ op: "update", id: "", type: "shared", data: 1 }] },
      { changes: [{ op: "update", id: c, type: "", data: 1 }] },
      { changes: [{ op: "update", id: c, type: "shared", data: 3 }] },
    ]);
    expect(outcomes.map(fateOf)).toEqual([
      1n,
      "VERSION_CONFLICT",
      "INVALID_ID",
      "INVALID_TYPE",
      1n,
    ]);
    const conflict = outcomes[1]!;
    expect(!conflict.ok && conflict.error.facts.current).toMatchObject({ version: "1" });
    expect((await face().getState(b)).data).toBe("before");
    expect((await face().getState(c)).data).toBe(3);
  });

  test("writes to one state take their turns", async () => {
    const id = uniqueId();
    const outcomes = await face().commitBatch(
      Array.from({ length: 20 }, (_, n) => ({
        changes: [{ op: "update" as const, id, type: "shared", data: n }],
      })),
    );
    const versions = outcomes.map(fateOf).toSorted((x, y) => Number(x) - Number(y));
    expect(versions).toEqual(Array.from({ length: 20 }, (_, n) => BigInt(n + 1)));
  });

  test("a batch holds changesets of several changes, scopes and namespaces", async () => {
    const [scope, id] = [uniqueId("scope"), uniqueId()];
    const pair: Changeset = {
      scope,
      changes: [1, 2].map((n) => ({
        ...({ op: "update", id: `${scope}-${n}`, type: "shared" } as const),
        data: n,
      })),
    };
    const there: Changeset = {
      namespace: "elsewhere",
      changes: [{ op: "update", id, type: "shared", data: "there" }],
    };
    const here: Changeset = { changes: [{ op: "update", id, type: "note", data: "here" }] };
    const outcomes = await face().commitBatch([there, pair, here]);
    const [first, second, third] = outcomes.map((outcome) =>
      outcome.ok ? outcome.committed : null,
    );
    expect(first).toMatchObject({ namespace: "elsewhere", changes: [{ id, type: "shared" }] });
    expect(second).toMatchObject({ scope, step: 1n, changes: [{ version: 1n }, { version: 1n }] });
    expect(third).toMatchObject({ namespace: "default", changes: [{ id, type: "note" }] });
  });

  test("a changeset that cannot be sent refuses itself alone", async () => {
    const id = uniqueId();
    const write = (data: Json, namespace = "default"): Changeset => {
      return { namespace, changes: [{ op: "update", id, type: "shared", data }] };
    };
    const outcomes = await face().commitBatch([
      write(Number.NaN),
      write(1),
      write(2, "a/b"),
      { changes: [{ op: "append", id, path: "", items: "text" as never }] },
      write(3, "elsewhere"),
      { scope: id } as never,
    ]);
    expect(outcomes.map(fateOf)).toEqual([
      "INVALID_DATA",
      1n,
      "INVALID_NAMESPACE",
      "INVALID_PATCH",
      1n,
      "INVALID_REQUEST",
    ]);
  });

  test("a repeated batch is answered, not done", async () => {
    const id = uniqueId();
    const write: Changeset = {
      idempotencyKey: uniqueId("key"),
      changes: [{ op: "update", id, type: "shared", data: 1 }],
    };
    await face().commitBatch([write]);
    const [again] = await face().commitBatch([write]);
    expect(again).toMatchObject({ ok: true, committed: { replayed: true } });
    expect((await face().getState(id)).version).toBe(1n);
  });

  test("a batch has up to 1,000 changesets", async () => {
    const prefix = uniqueId();
    const many = (count: number): Changeset[] =>
      Array.from({ length: count }, (_, n) => ({
        changes: [{ op: "update", id: `${prefix}-${n}`, type: "shared", data: n }],
      }));
    expect((await refusalOf(face().commitBatch(many(1_001)))).code).toBe("PAYLOAD_TOO_LARGE");
    expect((await face().list({ idPrefix: prefix })).items).toEqual([]);
    const outcomes = await face().commitBatch(many(1_000));
    expect(outcomes.filter(({ ok }) => ok)).toHaveLength(1_000);
    expect(await face().commitBatch([])).toEqual([]);
  });
}

/** The version of its only change, or the code of its refusal. */
function fateOf(outcome: BatchOutcome): bigint | string {
  return outcome.ok ? outcome.committed.changes[0]!.version : outcome.error.code;
}
