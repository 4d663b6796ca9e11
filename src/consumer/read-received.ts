import { CHANGED } from "../state/change-event.ts";
import { definedOnly } from "../state/defined.ts";
import { AgentRuntimeError } from "../state/errors.ts";
import { parseEvent } from "../state/event.ts";
import { parseVersion } from "../state/identifiers.ts";
import type { Given } from "../state/fields.ts";
import { deepFreeze } from "../state/json-check.ts";
import { quote } from "../state/quote.ts";
import { ROLLED_BACK } from "../state/rolled-back-event.ts";
import type { RolledBack, StateTakenBack } from "../state/rolled-back-event.ts";
import type { Change, ChangeKind, PatchOperation } from "../state/state.ts";

/** A change as a message brought it: where the feed stands after it is not said. */
export type ReceivedChange = Omit<Change, "cursor">;

const KINDS: readonly ChangeKind[] = ["update", "delete", "rollback", "repair"];

/** What a message tells of. */
export type Received =
  | { readonly change: ReceivedChange }
  | { readonly rolledBack: RolledBack }
  | { readonly other: string };

/**
 * What a message tells of: a change, a scope that went back, or something else.
 *
 * @throws {AgentRuntimeError} INVALID_JSON, INVALID_REQUEST, INVALID_VERSION, INVALID_STEP: it is no event of this program.
 */
export function readReceived(body: Uint8Array): Received {
  const { type, data, traceparent } = parseEvent(parsed(body));
  if (type !== CHANGED && type !== ROLLED_BACK) return { other: type };
  if (typeof data !== "object" || data === null) throw invalid("data");
  const given = data as Given;
  if (type === ROLLED_BACK) return { rolledBack: readRolledBack(given) };
  return { change: { ...readChange(given), ...definedOnly({ traceparent }) } };
}

function readChange(given: Given): ReceivedChange {
  const kind = KINDS.find((word) => word === given["kind"]);
  const at = new Date(textAt(given, "at"));
  if (kind === undefined) throw invalid("data.kind");
  if (Number.isNaN(at.getTime())) throw invalid("data.at");
  return frozen({
    namespace: textAt(given, "namespace"),
    scope: textAt(given, "scope"),
    step: stepAt(given, "step"),
    id: textAt(given, "id"),
    type: textAt(given, "type"),
    version: parseVersion(given["version"], "INVALID_VERSION"),
    kind,
    phase: textOrNull(given, "phase"),
    ...(given["data"] === undefined ? {} : { data: given["data"] }),
    ...(Array.isArray(given["patch"]) ? { patch: given["patch"] as unknown as [] } : {}),
    cause: textOrNull(given, "cause"),
    actor: textOrNull(given, "actor"),
    digest: textAt(given, "digest"),
    at,
  });
}

function readRolledBack(given: Given): RolledBack {
  const source = given["source"];
  const states = given["states"];
  const quarantined = given["quarantined"];
  const at = new Date(textAt(given, "at"));
  if (source !== "rollback" && source !== "history") throw invalid("data.source");
  if (!Array.isArray(quarantined)) throw invalid("data.quarantined");
  if (states !== undefined && !Array.isArray(states)) throw invalid("data.states");
  if (Number.isNaN(at.getTime())) throw invalid("data.at");
  return frozen({
    namespace: textAt(given, "namespace"),
    scope: textAt(given, "scope"),
    step: stepAt(given, "step"),
    restoredStep: stepAt(given, "restoredStep"),
    undoneStep: stepAt(given, "undoneStep"),
    source,
    reason: textOrNull(given, "reason"),
    actor: textOrNull(given, "actor"),
    at,
    quarantined: quarantined.map((step) => parseVersion(step, "INVALID_STEP")),
    stateCount: Number(given["stateCount"]),
    ...(states === undefined
      ? {}
      : { states: states.map((state) => stateTakenBack(state as Given)) }),
  });
}

function stateTakenBack(given: Given): StateTakenBack {
  const { diff } = given;
  return {
    id: textAt(given, "id"),
    type: textAt(given, "type"),
    version: parseVersion(given["version"], "INVALID_VERSION"),
    newVersion: parseVersion(given["newVersion"], "INVALID_VERSION"),
    phase: textOrNull(given, "phase"),
    deleted: given["deleted"] === true,
    ...(Array.isArray(diff)
      ? { diff: diff as readonly unknown[] as readonly PatchOperation[] }
      : {}),
  };
}

/** Walked to its end here: what is too deep for that is no document of this program, nor for a handler. */
function frozen<Value>(value: Value): Value {
  try {
    return deepFreeze(value);
  } catch (cause) {
    throw new AgentRuntimeError("INVALID_JSON", "the message is nested too deep", { cause });
  }
}

function stepAt(given: Given, field: string): bigint {
  return parseVersion(given[field], "INVALID_STEP");
}

function parsed(body: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(body));
  } catch (error) {
    const message = "the message must be JSON in UTF-8, and is not";
    throw new AgentRuntimeError("INVALID_JSON", message, { cause: error });
  }
}

function textAt(given: Given, field: string): string {
  const value = given[field];
  if (typeof value === "string") return value;
  throw invalid(`data.${field}`);
}

function textOrNull(given: Given, field: string): string | null {
  return given[field] === null || given[field] === undefined ? null : textAt(given, field);
}

function invalid(field: string): AgentRuntimeError {
  const message = `the event's ${quote(field)} is not what a change has there`;
  return new AgentRuntimeError("INVALID_REQUEST", message, { field });
}
