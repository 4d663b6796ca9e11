import type { TaskDetails } from "../../src/state/task.ts";
import { LONG_MS } from "../support/tasks.ts";
import { ENDS } from "./task-model.ts";
import type { ModelTask } from "./task-model.ts";

/** What a report says, in the least words. */
export function bodyOf({ report, event }: { readonly report: string; readonly event: string }): {
  body?: unknown;
  resume?: unknown;
} {
  if (report === "checkpoint") return { resume: event };
  if (report === "complete") return { body: null };
  if (report === "fail" || report === "reject") return { body: { error: null } };
  if (report !== "wait") return {};
  if (event === "timer") return { body: { for: "timer", ms: LONG_MS } };
  if (event === "child" || event === "input") return { body: { for: event } };
  return { body: { for: "event", name: event } };
}

type Told = readonly [string, string, bigint, number, string | null, readonly string[]];

/** A task as the database tells it. */
export function told(task: TaskDetails): Told {
  const results = task.results.map((one) =>
    one.from === "task"
      ? `${one.id} ${one.phase}`
      : one.from === "event"
        ? `event ${one.name}`
        : "input",
  );
  return [task.id, task.phase, task.epoch, task.attempt, task.lease?.worker ?? null, results];
}

/** And as the model means it. */
export function meant({ id, phase, epoch, attempt, holder, results }: ModelTask): Told {
  return [id, phase, epoch, attempt, ENDS.includes(phase) ? null : holder, results];
}
