import { CHANGED } from "../state/change-event.ts";
import { AgentRuntimeError } from "../state/errors.ts";
import { parseEvent } from "../state/event.ts";
import { parseVersion } from "../state/identifiers.ts";
import type { Json } from "../state/json.ts";
import { deepFreeze } from "../state/json-check.ts";
import { quote } from "../state/quote.ts";
import type { Change, ChangeKind } from "../state/state.ts";

/** A change as a message brought it: where the feed stands after it is not said. */
export type ReceivedChange = Omit<Change, "cursor">;

const KINDS: readonly ChangeKind[] = ["update", "delete", "rollback", "repair"];

/**
 * The change that a message tells of; undefined where it tells of something else.
 *
 * @throws {AgentRuntimeError} INVALID_JSON, INVALID_REQUEST, INVALID_VERSION, INVALID_STEP: it is no event of this program.
 */
export function readChange(body: Uint8Array): ReceivedChange | undefined {
  const { type, data } = parseEvent(parsed(body));
  if (type !== CHANGED) return undefined;
  if (typeof data !== "object" || data === null) throw invalid("data");
  const given = data as { readonly [field: string]: Json | undefined };
  const kind = KINDS.find((word) => word === given["kind"]);
  const at = new Date(textAt(given, "at"));
  if (kind === undefined) throw invalid("data.kind");
  if (Number.isNaN(at.getTime())) throw invalid("data.at");
  return deepFreeze({
    namespace: textAt(given, "namespace"),
    scope: textAt(given, "scope"),
    step: parseVersion(given["step"], "INVALID_STEP"),
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

function parsed(body: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(body));
  } catch (error) {
    const message = "the message must be JSON in UTF-8, and is not";
    throw new AgentRuntimeError("INVALID_JSON", message, { cause: error });
  }
}

function textAt(given: { readonly [field: string]: Json | undefined }, field: string): string {
  const value = given[field];
  if (typeof value === "string") return value;
  throw invalid(`data.${field}`);
}

function textOrNull(
  given: { readonly [field: string]: Json | undefined },
  field: string,
): string | null {
  return given[field] === null || given[field] === undefined ? null : textAt(given, field);
}

function invalid(field: string): AgentRuntimeError {
  const message = `the event's ${quote(field)} is not what a change has there`;
  return new AgentRuntimeError("INVALID_REQUEST", message, { field });
}
