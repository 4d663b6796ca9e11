import type { Reported, WorkerBeat } from "./task-face.ts";
import type { Effect, Task, TaskDetails } from "./task.ts";

/** A task in its JSON form: 64-bit numbers as text, and only the fields that say something. */
export function taskJson(task: Task): object {
  const { seq, epoch, parent, lease, runAt, deadline, ...plain } = task;
  return {
    ...plain,
    seq: seq === null ? null : String(seq),
    epoch: String(epoch),
    ...(parent === null ? {} : { parent }),
    ...(lease === null ? {} : { lease }),
    ...(runAt === null ? {} : { runAt }),
    ...(deadline === null ? {} : { deadline }),
  };
}

export function taskDetailsJson({ children, effects, ...task }: TaskDetails): object {
  const told = effects.map((effect: Effect) => ({ ...effect, epoch: String(effect.epoch) }));
  return { ...taskJson(task), children, effects: told };
}

export function reportedJson({ id, phase, wanted, replayed, tasks }: Reported): object {
  return { id, phase, wanted, replayed, tasks: tasks.map(taskJson) };
}

export function heartbeatJson(beat: WorkerBeat): object {
  const { leaseUntil, leaseMs, cancel, preempt, fenced } = beat;
  return { leaseUntil, leaseMs, cancel, preempt, fenced };
}
