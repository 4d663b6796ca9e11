import { expect, test } from "vitest";
import type { StateFace } from "../../../src/state/face.ts";
import { refusalOf, uniqueId as name } from "./case.ts";
import type { Face } from "./case.ts";

/** Going back, holding and releasing. */
export function rollbackContract(face: Face): void {
  /** Writes a document to a state of the scope, as one step. */
  const step = async (scope: string, id: string, data: number): Promise<bigint> =>
    (await face().updateState(id, "note", { data }, { scope })).step;
  const valueOf = async (id: string): Promise<unknown> =>
    (await face().getState(id, { consistency: "strong" })).data;

  test("a rollback appends a step that restores what was before HEAD, and quarantines it", async () => {
    const [scope, id] = [name("agent"), name("state")];
    await step(scope, id, 1);
    await step(scope, id, 2);
    const plan = await face().rollback(scope, { dryRun: true });
    expect(plan).toMatchObject({ dryRun: true, step: 3n, restoredStep: 1n, undoneStep: 2n });
    expect(await valueOf(id)).toEqual({ data: 2 });

    const done = await face().rollback(scope, { reason: "wrong", actor: "ann", expectedStep: 2n });
    expect(done).toMatchObject({ scope, dryRun: false, step: 3n, quarantined: [2n] });
    expect(done.states).toEqual([
      { id, type: "note", action: "restore", version: 2n, targetVersion: 1n, phase: null },
    ]);
    expect(await face().getState(id)).toMatchObject({ version: 3n, step: 3n, data: { data: 1 } });
    expect(await face().scope(scope)).toMatchObject({ step: 3n, quarantined: [2n] });
    const { items } = await face().history(id);
    expect(items.map(({ kind }) => kind)).toEqual(["rollback", "update", "update"]);
    expect(items[0]).toMatchObject({ cause: "wrong", actor: "ann" });
  });

  test("twice in a row goes two steps back, and the work goes on from there", async () => {
    const [scope, id] = [name("agent"), name("state")];
    for (const data of [1, 2, 3]) await step(scope, id, data);
    expect(await face().rollback(scope)).toMatchObject({ restoredStep: 2n });
    expect(await face().rollback(scope)).toMatchObject({ restoredStep: 1n, quarantined: [2n, 4n] });
    expect(await valueOf(id)).toEqual({ data: 1 });
    expect(await step(scope, id, 9)).toBe(6n);
    expect(await face().rollback(scope)).toMatchObject({ restoredStep: 5n });
    expect(await valueOf(id)).toEqual({ data: 1 });
  });

  test("what the undone steps created is gone, what they deleted is back", async () => {
    const [scope, kept, made] = [name("agent"), name("kept"), name("made")];
    await step(scope, kept, 1);
    await step(scope, made, 1);
    await face().deleteState(kept);
    const done = await face().rollback(scope, { toStep: 1n });
    expect(done.states.map(({ id, action }) => [id, action]).toSorted()).toEqual(
      [
        [kept, "recreate"],
        [made, "delete"],
      ].toSorted(),
    );
    expect(await valueOf(kept)).toEqual({ data: 1 });
    expect((await refusalOf(face().getState(made))).code).toBe("GONE");
  });

  test("the first step can be undone: then nothing exists, and versions go on", async () => {
    const [scope, id] = [name("agent"), name("state")];
    await step(scope, id, 1);
    expect(await face().rollback(scope)).toMatchObject({ restoredStep: 0n, step: 2n });
    expect((await refusalOf(face().getState(id))).code).toBe("GONE");
    expect(await face().updateState(id, "note", { data: 2 }, { scope })).toMatchObject({
      version: 3n,
      step: 3n,
    });
  });

  test("a rollback is refused with its plan where the scope moved on", async () => {
    const [scope, id] = [name("agent"), name("state")];
    await step(scope, id, 1);
    await step(scope, id, 2);
    const refusal = await refusalOf(face().rollback(scope, { expectedStep: 1n }));
    expect(refusal.code).toBe("STEP_CONFLICT");
    expect(refusal.facts.plan).toMatchObject({ undoneStep: "2", restoredStep: "1" });
    expect(await valueOf(id)).toEqual({ data: 2 });
  });

  test("a phase that nothing leads out of is not undone", async () => {
    const [scope, id] = [name("agent"), name("task")];
    await face().updateState(id, "task", {}, { scope });
    await face().updateState(id, "task", {}, { scope, phase: "canceled" });
    expect((await refusalOf(face().rollback(scope))).code).toBe("TERMINAL_PUBLISHED");
    expect(await face().getState(id)).toMatchObject({ phase: "canceled", version: 2n });
  });

  test("phases go back too, against the lifecycle where that must be", async () => {
    const [scope, id] = [name("agent"), name("task")];
    await face().updateState(id, "task", {}, { scope });
    await face().updateState(id, "task", {}, { scope, phase: "ready" });
    await face().rollback(scope);
    expect(await face().getState(id)).toMatchObject({ phase: "submitted", version: 3n });
  });

  test("a conversation kept as deltas goes back turn by turn", async () => {
    const [scope, id] = [name("agent"), name("talk")];
    await face().updateState(id, "note", { messages: [] }, { scope });
    for (const turn of [1, 2, 3]) await face().appendState(id, "/messages", [turn]);
    await face().rollback(scope);
    expect(await valueOf(id)).toEqual({ messages: [1, 2] });
    await face().rollback(scope, { toStep: 2n });
    expect(await valueOf(id)).toEqual({ messages: [1] });
  });

  test("there is no way back to HEAD, beyond it, or in a scope that does not exist", async () => {
    const [scope, id] = [name("agent"), name("state")];
    await step(scope, id, 1);
    const codes = [
      await refusalOf(face().rollback(scope, { toStep: 1n })),
      await refusalOf(face().rollback(scope, { toStep: 7n })),
      await refusalOf(face().rollback(name("nobody"))),
    ].map(({ code }) => code);
    expect(codes).toEqual(["STEP_NOT_FOUND", "STEP_NOT_FOUND", "SCOPE_NOT_FOUND"]);
  });

  test("a scope on hold takes no writes, may go back, and goes on when it is released", async () => {
    const [scope, id] = [name("agent"), name("state")];
    await step(scope, id, 1);
    await step(scope, id, 2);
    await face().hold(scope, { reason: "looks wrong", actor: "ann" });
    expect(await face().scope(scope)).toMatchObject({ hold: true });
    expect((await refusalOf(step(scope, id, 3))).code).toBe("SCOPE_ON_HOLD");
    expect(await face().rollback(scope)).toMatchObject({ restoredStep: 1n });
    expect((await refusalOf(step(scope, id, 3))).code).toBe("SCOPE_ON_HOLD");
    await face().release(scope);
    await face().release(scope);
    expect(await step(scope, id, 3)).toBe(4n);
    expect((await refusalOf(face().hold(name("nobody")))).code).toBe("SCOPE_NOT_FOUND");
  });

  test("watchers see a rollback as changes of that kind, with what is there now", async () => {
    const [scope, id] = [name("agent"), name("state")];
    const over = new AbortController();
    await step(scope, id, 1);
    const seen = watchOf(face(), scope, over.signal);
    await step(scope, id, 2);
    await face().rollback(scope);
    const kinds: unknown[] = [];
    for await (const { kind, version, data } of seen) {
      kinds.push([kind, version, data]);
      if (kind === "rollback") break;
    }
    over.abort();
    expect(kinds.at(-1)).toEqual(["rollback", 3n, { data: 1 }]);
  });
}

function watchOf(
  face: StateFace,
  scope: string,
  signal: AbortSignal,
): ReturnType<StateFace["watch"]> {
  return face.watch({ scope, after: "0", signal });
}
