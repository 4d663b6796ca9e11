import { expect, test } from "vitest";
import type { TaskStore } from "../state/task-port.ts";
import { countedStore } from "./counted-store.ts";
import { TaskFigures } from "./task-figures.ts";

const answer = { code: null, phase: "suspended", wanted: "suspended" };
const report = { id: "a", epoch: 1n, report: "checkpoint", body: null, resumePoint: "1" } as const;

function counted(store: Partial<Record<keyof TaskStore, () => unknown>>): {
  readonly figures: TaskFigures;
  readonly store: TaskStore;
} {
  const figures = new TaskFigures();
  return { figures, store: countedStore(store as unknown as TaskStore, figures) };
}

test("a checkpoint that gave its task back is a preemption; one that did not is none", async () => {
  const answers = [answer, { ...answer, phase: "working", wanted: null }];
  const { figures, store } = counted({ report: () => ({ answers, claimed: [] }) });
  await store.report("n", [report, { ...report, id: "b" }], null);
  expect(figures).toMatchObject({ preemptions: 1, fencedWrites: 0 });
  await store.report("n", [{ ...report, report: "suspend" }, report], null);
  expect(figures.preemptions, "who sets a task aside is not interrupted").toBe(1);
});

test("what a sweep and the end of leases take over adds up; a sweep of somebody else takes none", async () => {
  let isOurs = true;
  const { figures, store } = counted({
    sweep: () => (isOurs ? { takenOver: 2, interrupted: 4, failed: 1, canceled: 0 } : null),
    endLeases: () => 3,
  });
  await store.sweep(1, 3);
  isOurs = false;
  await store.sweep(1, 3);
  await store.endLeases("n", { worker: "w", before: new Date(0) });
  expect(figures).toMatchObject({ takeovers: 5, interruptions: 4, dead: 1 });
  expect([...figures.ended]).toEqual([["unknown", new Map([["failed", 1]])]]);
});

test("an effect that came too late is a fenced write, and so is a child", async () => {
  const { figures, store } = counted({
    recordEffect: () => ({ code: "EPOCH_FENCED" }),
    push: () => [{ code: "EPOCH_FENCED" }, { code: null }, { code: "TASK_ENDED" }],
  });
  await store.recordEffect("n", { id: "a", epoch: 1n, key: "k", receipt: null, again: false });
  await store.push("n", [], { actor: null, maxDepth: 1, dataBytes: 1 });
  expect(figures).toMatchObject({ fencedWrites: 2, pushed: 1 });
});
