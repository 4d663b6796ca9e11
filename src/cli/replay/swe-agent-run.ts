import type { Json, JsonObject } from "../../state/json.ts";
import { isArray, isObject } from "../../state/pointer.ts";
import type { Message, RecordedEvent, RecordedRun } from "./recorded-run.ts";

/** Whether the value is a run of SWE-agent: actions and observations in `trajectory`. */
export function isSweAgentRun(value: Json): value is JsonObject {
  return isObject(value) && isArray(value["trajectory"]) && isArray(value["history"]);
}

/** A run of SWE-agent: a coding agent that fixes one issue. Undefined where nobody asks for anything. */
export function readSweAgentRun(record: JsonObject, name: string): RecordedRun | undefined {
  const history = (record["history"] as readonly Json[]).filter(isObject);
  const firstAnswer = history.findIndex((message) => message["role"] === "assistant");
  const opening = history.slice(0, firstAnswer < 0 ? undefined : firstAnswer);
  const at = opening.findLastIndex((message) => message["role"] === "user");
  if (at < 0) return undefined;
  const steps = (record["trajectory"] as readonly Json[]).filter(isObject);
  const info = isObject(record["info"]) ? record["info"] : {};
  const { exit_status: exit = null, submission = null } = info;
  return {
    name,
    source: "SWE-agent",
    briefing: opening.slice(0, at),
    request: opening[at]!,
    events: steps.flatMap(eventsOf),
    outcome: {
      isGood: typeof exit === "string" && exit.startsWith("submitted"),
      result: { exitStatus: exit, submission },
    },
  };
}

/** A step is what the agent thinks and does, and then what it sees. */
function eventsOf(step: JsonObject, index: number): RecordedEvent[] {
  const { action, thought, observation, state, execution_time: seconds } = step;
  const message: Message = { role: "assistant", content: textOf(thought), action: textOf(action) };
  const command = textOf(action).trim();
  if (command === "") return [{ kind: "says", by: "agent", message }];
  const key = String(index);
  const call = { key, name: /^\S+/.exec(command)![0], arguments: command };
  return [
    { kind: "calls", message, calls: [call] },
    {
      kind: "returns",
      key,
      message: { role: "tool", content: textOf(observation), state: placeOf(state) },
      ...(typeof seconds === "number" && seconds >= 0 ? { durationMs: seconds * 1000 } : {}),
    },
  ];
}

/** The open file and the working directory; some versions wrote them as JSON text. */
function placeOf(state: Json | undefined): Json {
  if (typeof state !== "string") return state ?? null;
  try {
    return JSON.parse(state) as Json;
  } catch {
    return state;
  }
}

function textOf(value: Json | undefined): string {
  return typeof value === "string" ? value : "";
}
