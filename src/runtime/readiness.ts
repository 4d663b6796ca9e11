import type { StateManager } from "../manager/state-manager.ts";
import { withDeadline } from "../service/deadline.ts";
import { AgentRuntimeError } from "../state/errors.ts";

/** How long main may take until it counts as away: who asks whether it is there does not wait for a statement's time. */
const ANSWER_MS = 5_000;

/** What `/readyz` says. */
export async function readinessOf(
  manager: StateManager,
): Promise<{ readonly ready: boolean; readonly main: string }> {
  const trouble = await troubleOf(manager);
  return { ready: trouble === null, main: trouble?.code ?? "ok" };
}

/** Why main does not answer, or not soon; null: it does. */
export async function troubleOf(manager: StateManager): Promise<AgentRuntimeError | null> {
  try {
    const asking = { what: "An answer of main", timeoutMs: ANSWER_MS };
    await withDeadline(asking, () => manager.describe());
    return null;
  } catch (error) {
    if (error instanceof AgentRuntimeError) return error;
    return new AgentRuntimeError("INTERNAL", String(error), { cause: error });
  }
}
