import type { StateManager } from "../manager/state-manager.ts";
import type { JsonObject } from "../state/json.ts";

/** What `/v1/info` says of tasks. */
export function tasksInfo({ stackFigures }: Pick<StateManager, "stackFigures">): JsonObject {
  const { waiting, deepest, oldestMs, aged } = stackFigures;
  return {
    health: aged === 0 ? "ok" : "tasks wait too long",
    waiting,
    deepestStack: deepest,
    oldestSeconds: Math.floor(oldestMs / 1_000),
    agedStacks: aged,
  };
}
