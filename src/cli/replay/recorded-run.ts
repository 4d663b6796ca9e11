import type { JsonObject } from "../../state/json.ts";

/** One message of a conversation, as it was recorded. */
export type Message = JsonObject;

/** A tool that the agent calls. */
export interface ToolCall {
  /** What its result refers to it by. */
  readonly key: string;
  readonly name: string;
  readonly arguments: JsonObject | string;
}

/** One thing that happened in a run. */
export type RecordedEvent =
  | { readonly kind: "says"; readonly by: "user" | "agent"; readonly message: Message }
  | { readonly kind: "calls"; readonly message: Message; readonly calls: readonly ToolCall[] }
  | {
      readonly kind: "returns";
      readonly key: string;
      readonly message: Message;
      /** How long the tool took, where the record says. */
      readonly durationMs?: number;
    };

/** A recorded run of a real agent, whatever its file looked like. */
export interface RecordedRun {
  /** Its id, and the beginning of the ids of all it makes. */
  readonly name: string;
  /** Who recorded it. */
  readonly source: string;
  /** What the agent was told before the request: its policy, its demonstrations. */
  readonly briefing: readonly Message[];
  /** What the user asked for. */
  readonly request: Message;
  readonly events: readonly RecordedEvent[];
  readonly outcome: { readonly isGood: boolean; readonly result: JsonObject };
}
