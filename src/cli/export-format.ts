import { AgentRuntimeError } from "../state/errors.ts";
import type { Json, JsonObject } from "../state/json.ts";
import { checkFields } from "../state/nearest.ts";
import { isObject } from "../state/pointer.ts";
import type { State } from "../state/state.ts";
import { CommandFailed } from "./failure.ts";
import { given } from "./given.ts";
import { toJson } from "./print/json.ts";

const FORMAT = "agent-runtime-state";
const FORMAT_VERSION = 1;

/** The first line of an export. */
export function exportHeader(): string {
  return toJson({ format: FORMAT, formatVersion: FORMAT_VERSION });
}

/** One state of an export. */
export function exportLine(state: State): string {
  const { id, type, scope, phase, version, step, digest, createdAt, updatedAt, expiresAt } = state;
  const place = { id, type, scope, phase, version, step };
  return toJson({ ...place, createdAt, updatedAt, expiresAt, digest, data: state.data });
}

/** One state to import. */
export interface ImportedState {
  readonly id: string;
  readonly type: string;
  readonly scope?: string;
  readonly phase?: string;
  readonly expiresAt?: Date;
  readonly data: Json;
}

/** `version` to `digest` tell where it came from; the service that takes it in counts anew. */
const TAKEN_IN = ["id", "type", "scope", "phase", "expiresAt", "data"];
const LEFT_OUT = ["version", "step", "createdAt", "updatedAt", "digest", "namespace"];
const FIELDS = [...TAKEN_IN, ...LEFT_OUT];

/**
 * The state of a line, or undefined for a header.
 *
 * @throws {AgentRuntimeError} INVALID_REQUEST or UNKNOWN_FIELD with what is wrong with it.
 */
export function parseExportLine(text: string): ImportedState | undefined {
  const line = parseObject(text);
  if (Object.hasOwn(line, "format")) {
    checkHeader(line);
    return undefined;
  }
  checkFields(line, FIELDS, "the line");
  const { id, type, scope, phase, data, expiresAt } = line;
  if (typeof id !== "string") throw invalid("id", "needs an id, as text");
  if (typeof type !== "string") throw invalid("type", "needs a type, as text");
  if (data === undefined) throw invalid("data", "needs data: the document");
  return {
    id,
    type,
    data,
    ...given({
      scope: optionalText(scope, "scope"),
      phase: optionalText(phase, "phase"),
      expiresAt: optionalTime(expiresAt),
    }),
  };
}

/** Another format is no matter of one line: nothing of such a file is imported. */
function checkHeader({ format, formatVersion }: JsonObject): void {
  if (format !== FORMAT) {
    throw new CommandFailed("the file is not an export of this program", {
      next: "see: agent_runtime state export --help",
    });
  }
  if (formatVersion !== FORMAT_VERSION) {
    const next = "import it with a program at least as new as the one that wrote it";
    throw new CommandFailed("the file uses another version of the export format", { next });
  }
}

function parseObject(text: string): JsonObject {
  let value: Json;
  try {
    value = JSON.parse(text) as Json;
  } catch (cause) {
    throw new AgentRuntimeError("INVALID_JSON", "the line is not JSON", { cause });
  }
  if (!isObject(value)) throw new AgentRuntimeError("INVALID_REQUEST", "the line is no object");
  return value;
}

function optionalText(value: Json | undefined, field: string): string | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value !== "string") throw invalid(field, `needs its ${field} as text`);
  return value;
}

function optionalTime(value: Json | undefined): Date | undefined {
  const text = optionalText(value, "expiresAt");
  if (text === undefined) return undefined;
  const time = new Date(text);
  if (Number.isNaN(time.getTime())) throw invalid("expiresAt", "needs expiresAt as ISO 8601");
  return time;
}

function invalid(field: string, what: string): AgentRuntimeError {
  return new AgentRuntimeError("INVALID_REQUEST", `the line ${what}`, { field });
}
