import { silentLog } from "../service/log.ts";
import { exposeTasks } from "../service/task-metrics.ts";
import type { Metrics } from "../service/metrics.ts";
import { countedStore } from "../tasks/counted-store.ts";
import { StackSurvey } from "../tasks/stack-survey.ts";
import type { StackFigures } from "../tasks/stack-survey.ts";
import { TaskFigures } from "../tasks/task-figures.ts";
import { TaskManager } from "../tasks/task-manager.ts";
import { TaskPruner } from "../tasks/task-pruner.ts";
import { DEFAULT_TASK_SETTINGS } from "../tasks/task-settings.ts";
import type { Limits } from "./limits.ts";
import type { ManagerOptions } from "./manager-options.ts";
import type { StateCache } from "./state-cache.ts";

/** How all stacks do, and what this process did with tasks. */
export interface HowTasksDo extends StackFigures {
  readonly counts: Readonly<TaskFigures>;
}

/** The tasks of a manager: what they write, its memory forgets; and how they do. */
export function openTasks(
  { store, tasks: settings = {}, pollMs = 200, log = silentLog }: ManagerOptions,
  parts: {
    readonly limits: Limits;
    readonly cache: StateCache;
    readonly metrics: Metrics;
    readonly onWritten: () => void;
    readonly onDue: () => void;
  },
): {
  readonly tasks: TaskManager;
  readonly survey: StackSurvey;
  readonly pruner: TaskPruner;
  readonly howTasksDo: () => HowTasksDo;
} {
  const figures = new TaskFigures();
  const counted = countedStore(store.tasks, figures);
  const { ageingMs, keepDays } = { ...DEFAULT_TASK_SETTINGS, ...settings };
  const survey = new StackSurvey({ store: counted, ageingMs, log });
  exposeTasks(parts.metrics, figures, () => survey.figures);
  const tasks = new TaskManager({
    settings,
    store: counted,
    bell: store.taskBell,
    limits: parts.limits,
    pollMs,
    onDue: parts.onDue,
    onWritten: (namespace, ids) => {
      for (const id of ids) parts.cache.forget({ namespace, id });
      parts.onWritten();
    },
  });
  const pruner = new TaskPruner({ store: counted, keepDays });
  return { tasks, survey, pruner, howTasksDo: () => ({ ...survey.figures, counts: figures }) };
}
