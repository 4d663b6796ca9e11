import { expect, test } from "vitest";
import { refusalOf, uniqueId } from "./case.ts";
import type { Face } from "./case.ts";

/** Scopes: steps without a gap, and what was in them. */
export function scopeContract(face: Face): void {
  test("a scope counts its steps from 1, without a gap", async () => {
    const scope = uniqueId("scope");
    for (let n = 1; n <= 4; n++) {
      const { step } = await face().updateState(`${scope}-${n % 2}`, "shared", n, { scope });
      expect(step).toBe(BigInt(n));
    }
    expect(await face().scope(scope)).toMatchObject({
      namespace: "default",
      scope,
      step: 4n,
      hold: false,
      holdReason: null,
      quarantined: [],
      rollbacks: [],
    });
  });

  test("a scope that nobody wrote to is not found", async () => {
    const scope = uniqueId("scope");
    expect((await refusalOf(face().scope(scope))).code).toBe("SCOPE_NOT_FOUND");
    expect((await refusalOf(face().scopeStates(scope))).code).toBe("SCOPE_NOT_FOUND");
  });

  test("a scope is seen as it was right after any step", async () => {
    const scope = uniqueId("scope");
    const [a, b, task] = [`${scope}-a`, `${scope}-b`, `${scope}-task`];
    await face().updateState(a, "shared", { n: 1 }, { scope });
    await face().updateState(b, "shared", "b", { scope });
    await face().mergeState(a, { n: 2 });
    await face().updateState(task, "task", {}, { scope });
    await face().mergeState(task, {}, { phase: "ready" });
    await face().deleteState(b);

    const at = async (step: bigint) =>
      (await face().scopeStates(scope, { step })).items.map((state) => [state.id, state.data]);
    expect(await at(1n)).toEqual([[a, { n: 1 }]]);
    expect(await at(2n)).toEqual([
      [a, { n: 1 }],
      [b, "b"],
    ]);
    expect(await at(3n)).toEqual([
      [a, { n: 2 }],
      [b, "b"],
    ]);
    const head = await face().scopeStates(scope);
    expect(head.items).toMatchObject([
      { id: a, version: 2n, step: 3n },
      { id: task, version: 2n, step: 5n, phase: "ready" },
    ]);
    const before = await face().scopeStates(scope, { step: 4n });
    expect(before.items.at(-1)).toMatchObject({ id: task, version: 1n, phase: "submitted" });
    expect((await refusalOf(at(7n))).code).toBe("STEP_NOT_FOUND");
  });

  test("a large scope comes in pages", async () => {
    const scope = uniqueId("scope");
    const ids = Array.from({ length: 5 }, (_, n) => `${scope}-${n}`);
    const changes = ids.map((id) => ({ op: "update", id, type: "shared", data: id }) as const);
    await face().commit({ scope, changes });
    await face().commit({ scope, changes: [{ op: "merge", id: ids[0]!, patch: "later" }] });
    const seen: string[] = [];
    let after: string | undefined;
    do {
      const from = after === undefined ? {} : { after };
      const page = await face().scopeStates(scope, { step: 1n, limit: 2, ...from });
      seen.push(...page.items.map(({ data }) => data as string));
      after = page.next;
    } while (after !== undefined);
    expect(seen).toEqual(ids);
  });
}
