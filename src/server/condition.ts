import { AgentRuntimeError } from "../state/errors.ts";
import type { StateFace } from "../state/face.ts";
import type { WriteOptions } from "../state/request.ts";
import type { Version, Written } from "../state/state.ts";
import type { Condition } from "./headers.ts";

/** Tries to write onto whatever version there is, before others are said to be too fast. */
const EXISTS_TRIES = 5;

/** One write to one state, as a request asks for it. */
export interface ConditionalWrite {
  readonly id: string;
  readonly condition: Condition;
  readonly options: WriteOptions;
  /** Whether the write itself would create the state; a patch or delete fails without one. */
  readonly creates: boolean;
  write(options: WriteOptions): Promise<Written>;
}

/**
 * The write, under the condition that came as a header.
 *
 * @throws {AgentRuntimeError} PRECONDITION_FAILED, with the state as it is, where the condition does
 *   not hold; a condition in the body or query keeps its own code.
 */
export async function writeUnderCondition(
  face: StateFace,
  call: ConditionalWrite,
): Promise<Written> {
  const { condition, options } = call;
  if (condition.kind === "none") return await call.write(options);
  if (options.expectedVersion !== undefined) {
    throw new AgentRuntimeError(
      "INVALID_REQUEST",
      "the condition came twice; send the header or expectedVersion, not both",
      { field: "expectedVersion" },
    );
  }
  if (condition.kind === "exists") return await writeIfExists(face, call);
  const expectedVersion = condition.kind === "at" ? condition.version : 0n;
  try {
    return await call.write({ ...options, expectedVersion });
  } catch (error) {
    throw isConflict(error) ? preconditionFailed(error) : error;
  }
}

async function writeIfExists(face: StateFace, call: ConditionalWrite): Promise<Written> {
  const { options } = call;
  if (!call.creates) return await call.write(options);
  if (options.idempotencyKey !== undefined) {
    throw new AgentRuntimeError(
      "INVALID_REQUEST",
      "If-Match: * and an idempotency key do not go together: a repeat would find another version; name the version",
      { field: "If-Match" },
    );
  }
  for (let tries = 0; tries < EXISTS_TRIES; tries++) {
    const expectedVersion = await currentVersion(face, call);
    try {
      return await call.write({ ...options, expectedVersion });
    } catch (error) {
      if (!isConflict(error)) throw error;
    }
  }
  throw new AgentRuntimeError("UNAVAILABLE", "others write this state without a pause; try again", {
    mayHaveHappened: false,
  });
}

async function currentVersion(
  face: StateFace,
  { id, options }: ConditionalWrite,
): Promise<Version> {
  const { namespace } = options;
  const read = {
    consistency: "strong",
    ...(namespace === undefined ? {} : { namespace }),
  } as const;
  try {
    return (await face.getState(id, read)).version;
  } catch (error) {
    if (!(error instanceof AgentRuntimeError)) throw error;
    const isMissing = error.code === "STATE_NOT_FOUND" || error.code === "GONE";
    throw isMissing ? preconditionFailed(error) : error;
  }
}

function isConflict(error: unknown): error is AgentRuntimeError {
  if (!(error instanceof AgentRuntimeError)) return false;
  return error.code === "VERSION_CONFLICT" || error.code === "ALREADY_EXISTS";
}

function preconditionFailed(error: AgentRuntimeError): AgentRuntimeError {
  return new AgentRuntimeError("PRECONDITION_FAILED", error.message, {
    ...error.facts,
    mayHaveHappened: false,
    cause: error,
  });
}
