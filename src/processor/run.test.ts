import { setTimeout as sleep } from "node:timers/promises";
import { expect, onTestFinished, test } from "vitest";
import { AgentRuntimeError } from "../state/errors.ts";
import type { TaskFace } from "../state/task-face.ts";
import type { Task } from "../state/task.ts";
import { Hold } from "./hold.ts";
import { RunInterrupted } from "./interruption.ts";
import { Run } from "./run.ts";

test("that a run is over is told whoever awaits it, and ends no process where nobody does", async () => {
  const unhandled: unknown[] = [];
  const note = (error: unknown): void => void unhandled.push(error);
  process.on("unhandledRejection", note);
  onTestFinished(() => void process.off("unhandledRejection", note));
  const fenced = (): Promise<never> =>
    Promise.reject(new AgentRuntimeError("EPOCH_FENCED", "it is held by another"));
  const tasks = { checkpoint: fenced, effect: fenced, push: fenced } as unknown as TaskFace;
  const run = new Run(new Hold(tasks, { id: "a", epoch: 1n } as Task, { incarnation: "1" }));
  const awaited = run.checkpoint({ step: 1 });
  void run.effect("charge", () => 1);
  void run.push("child");
  void run.sleep("rest", 1);
  await expect(awaited).rejects.toBeInstanceOf(RunInterrupted);
  await expect(run.checkpoint()).rejects.toBeInstanceOf(RunInterrupted);
  await sleep(0); // unhandled ones are told after the turn
  expect(unhandled).toEqual([]);
});
