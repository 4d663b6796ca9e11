import type { LifecycleFact } from "./lifecycle-fact.ts";
import type { CallOptions } from "./request.ts";

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

export interface FactOptions extends CallOptions {
  /** Unsaid: `default`. */
  readonly namespace?: string;
}

/** What happens to the pods that agents run in, told to the state manager. */
export interface LifecycleFace {
  /**
   * Resolves when the facts are on the message bus; where there is none, when the states that follow from them are
   * written. The same facts again change nothing.
   *
   * @param facts 500 at most.
   * @throws {AgentRuntimeError} INVALID_REQUEST, UNKNOWN_FIELD and PAYLOAD_TOO_LARGE: none of them was taken;
   *   UNAVAILABLE: tell all of them again.
   * @see docs/pods.md
   */
  publish(facts: readonly LifecycleFact[], options?: FactOptions): Promise<void>;
}
