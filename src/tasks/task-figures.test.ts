import { expect, test } from "vitest";
import type { Task } from "../state/task.ts";
import { TaskFigures } from "./task-figures.ts";

function task(id: string, kind: string, epoch = 1n): Task {
  return { namespace: "n", id, kind, epoch, createdAt: new Date(0) } as Task;
}

test("ends are told by kind; of too many kinds, those that come late together", () => {
  const figures = new TaskFigures();
  figures.claimed(Array.from({ length: 60 }, (_, index) => task(`t${index}`, `k${index}`)));
  for (let index = 0; index < 60; index++) figures.end("n", `t${index}`, "completed");
  figures.end("n", "not mine", "canceled");
  expect(figures.ended.size).toBe(52);
  expect(figures.ended.get("k0")).toEqual(new Map([["completed", 1]]));
  expect(figures.ended.get("other")).toEqual(new Map([["completed", 10]]));
  expect(figures.ended.get("unknown")).toEqual(new Map([["canceled", 1]]));
});

test("a report counts once, and only where it was taken", () => {
  const figures = new TaskFigures();
  figures.claimed([task("a", "mail"), task("b", "mail", 2n)]);
  const report = { id: "a", epoch: 1n, report: "fail", body: null, resumePoint: null } as const;
  const taken = { code: null, phase: "failed", wanted: null };
  figures.reported("n", report, taken);
  figures.reported("n", report, { ...taken, code: "REPLAYED" });
  figures.reported("n", report, { ...taken, code: "EPOCH_FENCED" });
  figures.reported("n", { ...report, report: "complete" }, { ...taken, phase: "ready" });
  expect(figures).toMatchObject({ claims: 2, dead: 1, fencedWrites: 1 });
  expect([...figures.ended]).toEqual([["mail", new Map([["failed", 1]])]]);
  const counted = figures.firstRun.samples("x", {}).at(-1);
  expect(counted).toMatchObject({ metricName: "x_count", value: 1 });
});
