import { TaskManager } from "../tasks/task-manager.ts";
import type { Limits } from "./limits.ts";
import type { ManagerOptions } from "./manager-options.ts";
import type { StateCache } from "./state-cache.ts";

/** The tasks of a manager: what they write, its memory forgets. */
export function openTasks(
  { store, tasks, pollMs = 200 }: ManagerOptions,
  parts: {
    readonly limits: Limits;
    readonly cache: StateCache;
    readonly onWritten: () => void;
    readonly onDue: () => void;
  },
): TaskManager {
  return new TaskManager({
    ...(tasks === undefined ? {} : { settings: tasks }),
    store: store.tasks,
    bell: store.taskBell,
    limits: parts.limits,
    pollMs,
    onDue: parts.onDue,
    onWritten: (namespace, ids) => {
      for (const id of ids) parts.cache.forget({ namespace, id });
      parts.onWritten();
    },
  });
}
