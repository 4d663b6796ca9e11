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
      {
        id,
        type: "note",
        action: "restore",
        version: 2n,
        newVersion: 3n,
        targetVersion: 1n,
        phase: null,
      },
    ]);
    expect(await face().getState(id)).toMatchObject({ version: 3n, step: 3n, data: { data: 1 } });
    expect(await face().scope(scope)).toMatchObject({
      step: 3n,
      quarantined: [2n],
      rollbacks: [{ step: 3n, restoredStep: 1n, undoneStep: 2n, reason: "wrong", actor: "ann" }],
    });
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
    expect(Object.fromEntries(done.states.map(({ id, action }) => [id, action]))).toEqual({
      [kept]: "recreate",
      [made]: "delete",
    });
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

  test("beyond the first step there is no way back, until something new is written", async () => {
    const [scope, id, other] = [name("agent"), name("state"), name("other")];
    await step(scope, id, 1);
    await face().rollback(scope);
    for (const options of [{}, { toStep: 0n }]) {
      expect((await refusalOf(face().rollback(scope, options))).code).toBe("NO_EARLIER_STEP");
    }
    expect((await face().scope(scope)).step).toBe(2n);
    await step(scope, other, 1);
    expect(await face().rollback(scope)).toMatchObject({ restoredStep: 2n, step: 4n });
    expect((await refusalOf(face().getState(other))).code).toBe("GONE");
  });

  test("a step in quarantine is never gone back to, by whatever way", async () => {
    const [scope, id] = [name("agent"), name("state")];
    for (const data of [1, 2, 3]) await step(scope, id, data);
    await face().rollback(scope, { toStep: 1n });
    await step(scope, id, 9);
    for (const toStep of [2n, 3n]) {
      const refusal = await refusalOf(face().rollback(scope, { toStep }));
      expect([refusal.code, refusal.facts.field]).toEqual(["STEP_QUARANTINED", "toStep"]);
    }
    expect(await face().rollback(scope, { toStep: 4n })).toMatchObject({ restoredStep: 4n });
    expect(await valueOf(id)).toEqual({ data: 1 });
  });

  test("a rollback that is repeated with its key is done once, and answered as it was", async () => {
    const [scope, id, key] = [name("agent"), name("state"), name("key")];
    for (const data of [1, 2, 3]) await step(scope, id, data);
    const first = await face().rollback(scope, { idempotencyKey: key, expectedStep: 3n });
    const again = await face().rollback(scope, { idempotencyKey: key, expectedStep: 3n });
    expect(again).toEqual({ ...first, replayed: true });
    expect((await face().scope(scope)).step).toBe(4n);
    const other = face().rollback(scope, { idempotencyKey: key, toStep: 1n });
    expect((await refusalOf(other)).code).toBe("IDEMPOTENCY_KEY_REUSED");
    const write = face().updateState(id, "note", { data: 4 }, { scope, idempotencyKey: key });
    expect((await refusalOf(write)).code).toBe("IDEMPOTENCY_KEY_REUSED");
  });

  test("of rollbacks that run side by side one goes back, with one key all are told of it", async () => {
    const [scope, id, key] = [name("agent"), name("state"), name("key")];
    for (const data of [1, 2, 3]) await step(scope, id, data);
    const expectedStep = 3n;
    const four = [1, 2, 3, 4].map(() => face().rollback(scope, { expectedStep }));
    const fates = await Promise.allSettled(four);
    expect(fates.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    expect((await face().scope(scope)).step).toBe(4n);
    const keyed = [1, 2, 3, 4].map(() => face().rollback(scope, { idempotencyKey: key }));
    const answers = await Promise.all(keyed);
    expect(answers.map(({ step: appended }) => appended)).toEqual([5n, 5n, 5n, 5n]);
    expect(answers.filter(({ replayed }) => !replayed)).toHaveLength(1);
  });

  test("several states of one step go back as one step", async () => {
    const [scope, ids] = [name("agent"), [name("a"), name("b"), name("c")]];
    const write = (data: number) =>
      face().commit({
        scope,
        changes: ids.map((id) => ({ op: "update", id, type: "note", data: { data } })),
      });
    await write(1);
    await write(2);
    const { states } = await face().rollback(scope);
    expect(states.map(({ newVersion }) => newVersion)).toEqual([3n, 3n, 3n]);
    const { items } = await face().scopeStates(scope);
    expect(items.map(({ step: at, data }) => [at, data])).toEqual(ids.map(() => [3n, { data: 1 }]));
  });

  test("what is over is not undone either where it was deleted since", async () => {
    const [scope, id] = [name("agent"), name("task")];
    await face().updateState(id, "task", {}, { scope });
    await face().updateState(id, "task", {}, { scope, phase: "canceled" });
    await face().deleteState(id);
    const refusal = await refusalOf(face().rollback(scope, { toStep: 1n }));
    expect(refusal.code).toBe("TERMINAL_PUBLISHED");
    expect(refusal.facts.plan).toMatchObject({ restoredStep: "1", states: [{ id }] });
    expect(await face().rollback(scope)).toMatchObject({ states: [{ id, action: "recreate" }] });
    expect(await face().getState(id)).toMatchObject({ phase: "canceled", version: 4n });
  });

  test("the time at which a state deletes itself stays as it is", async () => {
    const [scope, id] = [name("agent"), name("state")];
    const expiresAt = new Date("2100-01-01T00:00:00.000Z");
    await face().updateState(id, "note", 1, { scope, expiresAt });
    await face().updateState(id, "note", 2, { scope });
    await face().rollback(scope);
    expect(await face().getState(id)).toMatchObject({ data: 1, expiresAt });
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
    await face().hold(scope, { reason: "another reason" });
    expect(await face().scope(scope)).toMatchObject({ hold: true, holdReason: "looks wrong" });
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
