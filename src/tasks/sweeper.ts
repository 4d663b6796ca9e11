import { systemClock } from "../service/clock.ts";
import type { StackSurvey } from "./stack-survey.ts";
import type { TaskManager } from "./task-manager.ts";
import type { TaskPruner } from "./task-pruner.ts";

/**
 * A sweep that also calls `wake` when the next task is due, where that is sooner than the next sweep; it
 * answers whether more is due already.
 */
export function sweeperOf(
  tasks: TaskManager,
  {
    survey,
    pruner,
    wake,
  }: {
    readonly survey: Pick<StackSurvey, "step">;
    readonly pruner: Pick<TaskPruner, "step">;
    readonly wake: () => void;
  },
): () => Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  return async () => {
    const { more, nextDue } = await tasks.sweep();
    const isMoreOld = !more && (await pruner.step());
    if (!more) await survey.step();
    clearTimeout(timer);
    if (nextDue === null) return more || isMoreOld;
    // This clock may differ from the database's: then it comes a little early, or with the next sweep.
    const inMs = Math.max(nextDue.getTime() - systemClock.now(), 5);
    if (inMs < tasks.sweepMs) timer = setTimeout(wake, inMs).unref();
    return more || isMoreOld;
  };
}
