import { expect, test } from "vitest";
import { refusalOf, refusalsOf, uniqueId } from "./case.ts";
import type { Face } from "./case.ts";

/** Types that have phases go through them as their tables say. */
export function lifecycleContract(face: Face): void {
  test("a task starts as submitted, and keeps its phase where a write does not say", async () => {
    const id = uniqueId("task");
    expect((await face().updateState(id, "task", {})).phase).toBe("submitted");
    expect((await face().updateState(id, "task", {}, { phase: "ready" })).phase).toBe("ready");
    expect((await face().mergeState(id, { n: 1 })).phase).toBe("ready");
    expect((await face().getState(id)).phase).toBe("ready");
    expect((await face().getState(id, { version: 1n })).phase).toBe("submitted");
  });

  test("legal moves happen, each a version", async () => {
    const id = uniqueId("task");
    await face().updateState(id, "task", { n: 0 });
    const path = ["ready", "working", "suspended", "ready", "working", "completed"];
    for (const phase of path) await face().mergeState(id, {}, { phase });
    const { items } = await face().history(id);
    expect(items.map(({ phase }) => phase).toReversed()).toEqual(["submitted", ...path]);
  });

  test("staying in a phase is legal", async () => {
    const id = uniqueId("task");
    await face().updateState(id, "task", {}, { phase: "submitted" });
    expect((await face().mergeState(id, {}, { phase: "submitted" })).version).toBe(2n);
  });

  test("an illegal move is refused, whatever kind of write asks for it", async () => {
    const id = uniqueId("task");
    await face().updateState(id, "task", { list: [] });
    const illegal = { phase: "completed" };
    for (const error of await refusalsOf([
      face().updateState(id, "task", {}, illegal),
      face().mergeState(id, {}, illegal),
      face().patchState(id, [], illegal),
      face().appendState(id, "/list", [1], illegal),
      face().commit({ changes: [{ op: "merge", id, patch: {}, ...illegal }] }),
    ])) {
      expect(error).toMatchObject({ code: "ILLEGAL_TRANSITION", status: 422 });
    }
    expect(await face().getState(id)).toMatchObject({ version: 1n, phase: "submitted" });
  });

  test("nothing leaves a phase that is final", async () => {
    const id = uniqueId("task");
    await face().updateState(id, "task", {});
    await face().mergeState(id, {}, { phase: "canceled" });
    expect((await refusalOf(face().mergeState(id, {}, { phase: "ready" }))).code).toBe(
      "ILLEGAL_TRANSITION",
    );
  });

  test("a state cannot be created in the middle of its life", async () => {
    const id = uniqueId("task");
    const call = face().updateState(id, "task", {}, { phase: "working" });
    expect((await refusalOf(call)).code).toBe("ILLEGAL_TRANSITION");
    expect((await refusalOf(face().getState(id))).code).toBe("STATE_NOT_FOUND");
  });

  test("created again after a delete, a task begins anew", async () => {
    const id = uniqueId("task");
    await face().updateState(id, "task", {});
    await face().mergeState(id, {}, { phase: "ready" });
    await face().deleteState(id);
    expect((await face().updateState(id, "task", {})).phase).toBe("submitted");
  });

  test("a phase that the type does not have is refused with the types and phases there are", async () => {
    const id = uniqueId("task");
    await face().updateState(id, "task", {});
    const unknown = await refusalOf(face().updateState(id, "task", {}, { phase: "redy" }));
    expect(unknown.code).toBe("INVALID_PHASE");
    const without = face().updateState(uniqueId(), "shared", {}, { phase: "ready" });
    expect((await refusalOf(without)).code).toBe("INVALID_PHASE");
  });
}
