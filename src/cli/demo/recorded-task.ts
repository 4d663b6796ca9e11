import type { Json } from "../../state/json.ts";
import { isObject } from "../../state/pointer.ts";
import { quote } from "../../state/quote.ts";
import { truncate } from "../print/text.ts";
import type { Message, RecordedEvent, RecordedRun } from "../replay/recorded-run.ts";

/** One turn of a recorded agent. */
export interface RecordedStep {
  /** What it did, for people. */
  readonly did: string;
  /** What came of it: what its tools returned, or what it said. */
  readonly outcome: Json;
}

/** A recorded run as a task: what was asked for, and the turns that did it. */
export interface RecordedTask {
  readonly name: string;
  readonly run: string;
  readonly request: string;
  readonly steps: readonly RecordedStep[];
}

/** Leaves room for what stands before it in a line. */
const MAX_TEXT = 72;

/** The turns of the agent in a run, each with what its tools returned. */
export function recordedTask(name: string, run: RecordedRun): RecordedTask {
  const turns = run.events.flatMap((event, index) => {
    if (event.kind === "returns" || (event.kind === "says" && event.by === "user")) return [];
    const next = run.events.findIndex(({ kind }, at) => at > index && kind !== "returns");
    return [stepOf(event, run.events.slice(index + 1, next < 0 ? undefined : next))];
  });
  return { name, run: run.name, request: textOf(run.request), steps: turns };
}

function stepOf(event: RecordedEvent, after: readonly RecordedEvent[]): RecordedStep {
  if (event.kind !== "calls") {
    const said = textOf(event.message);
    return { did: `says ${quote(said, MAX_TEXT)}`, outcome: { said } };
  }
  const calls = event.calls.map(({ name, arguments: given }) => `${name}${argumentsOf(given)}`);
  const returned = after.flatMap((each) => (each.kind === "returns" ? [each.message] : []));
  return {
    did: `calls ${truncate(calls.join(", "), MAX_TEXT)}`,
    outcome: { returned: returned.map((message) => message["content"] ?? null) },
  };
}

function argumentsOf(given: Json): string {
  if (!isObject(given)) return "";
  return ` ${Object.values(given)
    .filter((value) => typeof value === "string")
    .join(" ")}`;
}

function textOf(message: Message): string {
  const { content } = message;
  return (typeof content === "string" ? content : "").replaceAll(/\s+/g, " ").trim();
}
