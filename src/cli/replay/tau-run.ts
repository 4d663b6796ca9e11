import type { Json, JsonObject } from "../../state/json.ts";
import { isArray, isObject } from "../../state/pointer.ts";
import type { Message, RecordedEvent, RecordedRun, ToolCall } from "./recorded-run.ts";

/** Whether the value is a run of tau-bench: chat messages in `traj`. */
export function isTauRun(value: Json): value is JsonObject {
  return isObject(value) && isArray(value["traj"]);
}

/** A run of tau-bench: a customer talks with an agent that calls tools. Undefined where nobody asks for anything. */
export function readTauRun(record: JsonObject, position: number): RecordedRun | undefined {
  const messages = (record["traj"] as readonly Json[]).filter(isObject);
  const first = messages.findIndex((message) => message["role"] === "user");
  if (first < 0) return undefined;
  const { task_id: task = position, trial = 0, reward } = record;
  const isGood = reward === 1;
  return {
    name: `tau-${wordOf(task)}-${wordOf(trial)}`,
    source: "tau-bench",
    briefing: messages.slice(0, first),
    request: messages[first]!,
    events: messages.slice(first + 1).map(eventOf),
    outcome: { isGood, result: { reward: typeof reward === "number" ? reward : null } },
  };
}

function wordOf(value: Json): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}

function eventOf(message: Message): RecordedEvent {
  const { role, tool_calls: calls, tool_call_id: key } = message;
  if (role === "tool" && typeof key === "string") return { kind: "returns", key, message };
  if (role === "user") return { kind: "says", by: "user", message };
  const read = isArray(calls) ? calls.filter(isObject).map(callOf) : [];
  if (read.length > 0) return { kind: "calls", message, calls: read };
  return { kind: "says", by: "agent", message };
}

function callOf(call: JsonObject, index: number): ToolCall {
  const target = isObject(call["function"]) ? call["function"] : {};
  const { name, arguments: text } = target;
  return {
    key: typeof call["id"] === "string" ? call["id"] : String(index),
    name: typeof name === "string" ? name : "tool",
    arguments: typeof text === "string" ? parsedArguments(text) : {},
  };
}

/** Models write their arguments as JSON text, and not always as correct JSON. */
function parsedArguments(text: string): JsonObject | string {
  try {
    const value = JSON.parse(text) as Json;
    return isObject(value) ? value : text;
  } catch {
    return text;
  }
}
