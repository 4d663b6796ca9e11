import type { StateManager } from "../manager/state-manager.ts";
import type { JsonObject } from "../state/json.ts";

/** What `/v1/info` says of tasks: how all stacks do, and what this process saw since it began. */
export function tasksInfo({ taskFigures }: Pick<StateManager, "taskFigures">): JsonObject {
  const { waiting, deepest, oldestMs, aged, counts } = taskFigures;
  return {
    health: aged === 0 ? "ok" : "tasks wait too long",
    waiting,
    deepestStack: deepest,
    oldestSeconds: Math.floor(oldestMs / 1_000),
    agedStacks: aged,
    preemptions: counts.preemptions + counts.interruptions,
    takeovers: counts.takeovers,
    fencedWrites: counts.fencedWrites,
    failedForGood: counts.dead,
  };
}
