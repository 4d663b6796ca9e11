import { definedOnly } from "../state/defined.ts";
import { applyDelta } from "../state/delta.ts";
import type { Delta } from "../state/delta.ts";
import { diffJson } from "../state/diff.ts";
import { AgentRuntimeError } from "../state/errors.ts";
import type { ErrorCode, ErrorFacts } from "../state/errors.ts";
import type { Json } from "../state/json.ts";
import { nextPhases, phaseAdvice } from "../state/lifecycle.ts";
import type { ChangeRow, PreparedChange, PreparedUnit, StoredState } from "../state/ports.ts";
import { quote } from "../state/quote.ts";
import type { PatchOperation } from "../state/state.ts";
import { isExpired } from "./state-cache.ts";

/** Codes after which the caller wants to see the state as it is. */
const WITH_CURRENT = new Set([
  "VERSION_CONFLICT",
  "ALREADY_EXISTS",
  "INVALID_TYPE",
  "ILLEGAL_TRANSITION",
]);

/** Whether a refusal should carry the state as it is. */
export function wantsCurrent(row: ChangeRow): boolean {
  return row.code !== null && WITH_CURRENT.has(row.code);
}

/** Why the database refused a unit, as its caller is told. */
export function refusal(
  unit: PreparedUnit,
  index: number,
  row: ChangeRow,
  current: StoredState | null,
): AgentRuntimeError {
  const change = unit.changes[index]!;
  const code = row.code as ErrorCode;
  return new AgentRuntimeError(code, sentence(unit, { change, row, current }), {
    mayHaveHappened: false,
    ...factsOf(change, current),
  });
}

interface Refused {
  readonly change: PreparedChange;
  readonly row: ChangeRow;
  readonly current: StoredState | null;
}

function sentence(unit: PreparedUnit, { change, row, current }: Refused): string {
  const id = quote(change.id);
  switch (row.code ?? "") {
    case "VERSION_CONFLICT":
      return `${id} is at version ${row.version}, not ${change.expectedVersion}. Read it, decide again, write again.`;
    case "ALREADY_EXISTS":
      if (current !== null && isExpired(current)) {
        return `${id} has expired and is about to be deleted, after which it can be created again. Try again in a moment, or leave the condition out to replace it.`;
      }
      return `${id} exists already, at version ${row.version}. Leave the condition out to replace it.`;
    case "STATE_NOT_FOUND":
      return `There is no state ${id} in namespace ${quote(unit.namespace)}. Create it with an update first.`;
    case "GONE":
      return `${id} was deleted at version ${row.version}. An update creates it again, one version up.`;
    case "INVALID_TYPE":
      return `${id} is of type ${quote(row.type)} and stays so; it cannot become ${quote(change.type ?? "")}. Use another id.`;
    case "INVALID_SCOPE":
      if (row.detail !== null) {
        return `A changeset is one step of one scope, but ${row.detail}. Name \`scope\`, which new states then join, or commit a step for each scope.`;
      }
      return `${id} belongs to scope ${quote(row.scope)} for life; it cannot step with ${quote(unit.scope ?? "")}.`;
    case "STEP_CONFLICT":
      return `Scope ${quote(row.scope)} is at step ${row.step}, not ${unit.expectedStep}. Read it, decide again, commit again.`;
    case "SCOPE_ON_HOLD":
      return `Scope ${quote(row.scope)} is on hold and takes no writes until an operator releases it.`;
    case "ILLEGAL_TRANSITION":
      return illegalTransition(row, change.phase ?? "");
    case "INVALID_PHASE":
      return `A state of type ${quote(row.type)} has no phase ${quote(change.phase ?? "")}; ${phaseAdvice(row.type, change.phase ?? "")}`;
    case "INVALID_PATCH":
      return `The patch does not apply to ${id}: ${row.detail ?? "no reason given"}. Nothing was changed.`;
    case "INVALID_DATA":
      return `${id} could not be stored after the patch: ${row.detail ?? "it is no document"}. Nothing was changed.`;
    case "PAYLOAD_TOO_LARGE":
      return `${id} would grow beyond its limit: ${row.detail ?? "too large"}. Split it into several states.`;
    case "IDEMPOTENCY_KEY_REUSED":
      return `The idempotency key ${quote(unit.idempotencyKey ?? "")} was used for another write. Use a new key for a new write.`;
    default:
      return `The database refused ${id} (${row.code}).`;
  }
}

function illegalTransition({ type, phase }: ChangeRow, to: string): string {
  const next = nextPhases(type, phase);
  const move =
    phase === null ? `begin in phase ${quote(to)}` : `go from phase ${phase} to ${quote(to)}`;
  const may = next.length === 0 ? "nothing leads on from there" : `it may be ${next.join(", ")}`;
  return `A state of type ${quote(type)} may not ${move}; ${may}.`;
}

function factsOf(change: PreparedChange, current: StoredState | null): ErrorFacts {
  if (current === null) return {};
  const data = current.text === null ? null : (JSON.parse(current.text) as Json);
  return {
    current: {
      id: current.id,
      type: current.type,
      scope: current.scope,
      version: current.version.toString(),
      step: current.step.toString(),
      phase: current.phase,
      digest: current.digest,
      updatedAt: current.updatedAt.toISOString(),
      data,
    },
    ...definedOnly({ diff: diffOf(change, data) }),
  };
}

/** What the write would have changed of the state as it is now; nothing where it would not apply to it. */
function diffOf({ op, body }: PreparedChange, data: Json): PatchOperation[] | undefined {
  if (body === null) return undefined;
  const wanted = JSON.parse(body) as Json;
  if (op === "update") return diffJson(data, wanted);
  try {
    return diffJson(data, applyDelta(data, wanted as Delta));
  } catch (error) {
    if (error instanceof AgentRuntimeError) return undefined;
    throw error;
  }
}
