import type { AgentRuntimeError } from "./errors.ts";
import type { CallOptions } from "./request.ts";
import type { Committed } from "./state.ts";

/** What is known of a message, however much of it could be understood. */
export interface ReadMessage {
  /** What names it, whoever delivers it how often. */
  readonly messageId: string;
  readonly namespace: string;
  /** The trace that its event says it belongs to. */
  readonly traceparent?: string;
  /** Does what it asks for, once however often; a refusal where that can never be done. */
  readonly work: AgentRuntimeError | ((call: CallOptions) => Promise<Committed>);
}

/**
 * What the messages of a topic mean.
 *
 * @param brokerId names the message where it does not do so itself.
 */
export type MessageKind = (body: Uint8Array, brokerId: string) => ReadMessage;
