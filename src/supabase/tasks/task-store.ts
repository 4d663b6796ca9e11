import type { TaskStore } from "../../state/task-port.ts";
import type { Caller } from "../caller.ts";
import { claimTasks } from "./claim-tasks.ts";
import { pruneTasks } from "./prune-tasks.ts";
import { pushTasks } from "./push-tasks.ts";
import { readStack, readTasks } from "./read-tasks.ts";
import { reportTasks } from "./report-tasks.ts";
import { surveyStacks } from "./survey-stacks.ts";
import {
  answerTask,
  cancelTask,
  endLeases,
  heartbeat,
  recordEffect,
  retryTask,
  sweepTasks,
} from "./task-orders.ts";

/** Tasks behind any transport. */
export function taskStoreOver(caller: Caller): TaskStore {
  return {
    push: (namespace, pushes, settings) => pushTasks(caller, namespace, { pushes, ...settings }),
    claim: (namespace, order) => claimTasks(caller, namespace, order),
    report: (namespace, reports, claim) =>
      reportTasks(caller, namespace, { reports, claim, actor: claim?.actor ?? null }),
    heartbeat: (namespace, holder) => heartbeat(caller, namespace, holder),
    endLeases: (namespace, ended) => endLeases(caller, namespace, ended),
    sweep: (limit, crashBudget = 3) => sweepTasks(caller, limit, crashBudget),
    cancel: (namespace, id, why) => cancelTask(caller, { namespace, id }, why),
    answer: (namespace, id, event) => answerTask(caller, { namespace, id }, event),
    retry: (namespace, id, why) => retryTask(caller, { namespace, id }, why),
    recordEffect: (namespace, order) => recordEffect(caller, namespace, order),
    read: (namespace, ids) => readTasks(caller, namespace, ids),
    stack: (namespace, stack, limit) => readStack(caller, namespace, { stack, limit }),
    prune: (after, before, limit) => pruneTasks(caller, { after, before, limit }),
    survey: (after, limit) => surveyStacks(caller, after, limit),
  };
}
