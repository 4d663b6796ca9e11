import { systemClock } from "../service/clock.ts";
import type { StackSurvey } from "./stack-survey.ts";
import type { TaskManager } from "./task-manager.ts";

/**
 * A sweep that also calls `wake` when the next task is due, where that is sooner than the next sweep; it
 * answers whether more is due already.
 */
export function sweeperOf(
  tasks: TaskManager,
  survey: Pick<StackSurvey, "step">,
  wake: () => void,
): () => Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  return async () => {
    const { more, nextDue } = await tasks.sweep();
    if (!more) await survey.step();
    clearTimeout(timer);
    if (nextDue === null) return more;
    // This clock may differ from the database's: then it comes a little early, or with the next sweep.
    const inMs = Math.max(nextDue.getTime() - systemClock.now(), 5);
    if (inMs < tasks.sweepMs) timer = setTimeout(wake, inMs).unref();
    return more;
  };
}
