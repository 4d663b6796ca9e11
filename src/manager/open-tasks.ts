import { silentLog } from "../service/log.ts";
import type { Loop } from "../service/loop.ts";
import { sweepTasks } from "../tasks/sweep-loop.ts";
import { TaskManager } from "../tasks/task-manager.ts";
import type { Limits } from "./limits.ts";
import type { ManagerOptions } from "./manager-options.ts";
import type { StateCache } from "./state-cache.ts";

/** The tasks of a manager, and the loop that does what is due. */
export function openTasks(
  { store, tasks, pollMs = 200, log = silentLog }: ManagerOptions,
  parts: {
    readonly limits: Limits;
    readonly cache: StateCache;
    readonly onWritten: () => void;
  },
): { readonly tasks: TaskManager; readonly loop: Loop } {
  const manager = new TaskManager({
    ...tasks,
    store: store.tasks,
    limits: parts.limits,
    pollMs,
    onDue: () => loop.wake(),
    onWritten: (namespace, ids) => {
      for (const id of ids) parts.cache.forget({ namespace, id });
      parts.onWritten();
    },
  });
  const loop = sweepTasks(manager, log);
  return { tasks: manager, loop };
}
