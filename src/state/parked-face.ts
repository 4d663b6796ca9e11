import type { ParkedMessage } from "./parked-port.ts";
import type { CallOptions } from "./request.ts";
import type { Committed, Page } from "./state.ts";

export interface ParkedOptions extends CallOptions {
  /** Unsaid: `default`. */
  readonly namespace?: string;
}

export interface ParkedListOptions extends ParkedOptions {
  /** 1 to 1,000; default 100. */
  readonly limit?: number;
  readonly after?: string;
}

/** A parked message and what it says: text where it is UTF-8, else base64. */
export interface ParkedDetails extends ParkedMessage {
  readonly body: string;
  readonly encoding: "utf8" | "base64";
}

/** Updates that came over the message bus and could never be applied, and changes that it would not take. */
export interface ParkedFace {
  /** The oldest first. */
  list(options?: ParkedListOptions): Promise<Page<ParkedMessage>>;
  /** @throws {AgentRuntimeError} PARKED_NOT_FOUND */
  get(number: bigint, options?: ParkedOptions): Promise<ParkedDetails>;
  /**
   * Tries it again, as if it had come now; where it can be applied, it is parked no more.
   *
   * @throws {AgentRuntimeError} PARKED_NOT_FOUND, or why it still cannot be applied; then it stays.
   */
  redrive(number: bigint, options?: ParkedOptions): Promise<Committed>;
  /** @throws {AgentRuntimeError} PARKED_NOT_FOUND */
  discard(number: bigint, options?: ParkedOptions): Promise<void>;
}
