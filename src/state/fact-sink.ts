import type { LifecycleFact } from "./lifecycle-fact.ts";

/** Where those who see what happens to pods tell it. */
export interface FactSink {
  /**
   * Resolves when they will not be lost any more. Telling the same ones again does no harm, so who is not sure
   * tells them again; facts of one pod are best told in the order in which they happened.
   *
   * @throws {AgentRuntimeError} UNAVAILABLE, RATE_LIMITED or INTERNAL: tell them again later; anything else:
   *   some of them can never be told, see its message.
   */
  publish(facts: readonly LifecycleFact[], signal?: AbortSignal): Promise<void>;
}
