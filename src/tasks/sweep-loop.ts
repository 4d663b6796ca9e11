import { systemClock } from "../service/clock.ts";
import type { Logger } from "../service/log-port.ts";
import { Loop } from "../service/loop.ts";
import type { TaskManager } from "./task-manager.ts";

const PAUSE_MS = 1_000;

/** Takes over what was lost and does what is due: every second, and where something is due sooner, then. */
export function sweepTasks(tasks: TaskManager, log: Logger): Loop {
  let timer: NodeJS.Timeout | undefined;
  const loop: Loop = new Loop({
    name: "task sweep",
    pauseMs: PAUSE_MS,
    log,
    runOnce: async (signal) => {
      const { more, nextDue } = await tasks.sweep();
      clearTimeout(timer);
      // Both clocks are asked: where they differ it comes a little early or late, and the second is the bound.
      const inMs = nextDue === null ? PAUSE_MS : Math.max(nextDue.getTime() - systemClock.now(), 5);
      if (inMs < PAUSE_MS && !signal.aborted) timer = setTimeout(() => loop.wake(), inMs).unref();
      return more;
    },
  });
  return loop;
}
