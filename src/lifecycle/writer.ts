import { AgentRuntimeError } from "../state/errors.ts";
import type { StateFace } from "../state/face.ts";
import type { JsonObject } from "../state/json.ts";
import type { CallOptions, ReadOptions } from "../state/request.ts";
import type { Committed, State } from "../state/state.ts";

/** In which namespace, and how fresh what is read must be. */
export type Where = CallOptions & Required<Pick<ReadOptions, "namespace" | "consistency">>;

interface Writing {
  readonly where: Where;
  /** As it was read. */
  readonly state: State | null;
  readonly phase: string;
  readonly cause: string;
  readonly expiresAt?: Date;
}

/** Who writes. */
const ACTOR = "lifecycle";
/** Others write the same states: again with what they wrote. */
const TRIES = 20;
const CONFLICTS = ["VERSION_CONFLICT", "ALREADY_EXISTS"];

/** Reads states and writes them as facts have it; what others wrote meanwhile is read first. */
export class LifecycleWriter {
  readonly #states: Pick<StateFace, "getState" | "commit">;

  constructor(states: Pick<StateFace, "getState" | "commit">) {
    this.#states = states;
  }

  /** First with what is in memory: a write onto something old is refused, and then main is asked. */
  async again<T>(where: Omit<Where, "consistency">, run: (where: Where) => Promise<T>): Promise<T> {
    for (let tries = 1; ; tries++) {
      try {
        return await run({ ...where, consistency: tries === 1 ? "session" : "strong" });
      } catch (error) {
        const isConflict = error instanceof AgentRuntimeError && CONFLICTS.includes(error.code);
        if (!isConflict) throw error;
        if (tries < TRIES) continue;
        const why = "The state is written by so many that this could not be added; tell it again.";
        throw new AgentRuntimeError("UNAVAILABLE", why, { cause: error });
      }
    }
  }

  /** @throws {AgentRuntimeError} INVALID_TYPE: it is a state of another type. */
  async read(id: string, type: string, where: Where): Promise<State | null> {
    try {
      const state = await this.#states.getState(id, where);
      if (state.type === type) return state;
      throw taken(id, state);
    } catch (error) {
      const code = error instanceof AgentRuntimeError ? error.code : null;
      if (code === "STATE_NOT_FOUND" || code === "GONE") return null;
      throw error;
    }
  }

  write(
    { id, type, data }: { readonly id: string; readonly type: string; readonly data: JsonObject },
    { where, state, phase, cause, expiresAt }: Writing,
  ): Promise<Committed> {
    const { namespace, consistency: _, ...call } = where;
    const expectedVersion = state?.version ?? 0n;
    const order = { op: "update", id, type, data, phase, expectedVersion } as const;
    const change = expiresAt === undefined ? order : { ...order, expiresAt };
    const scope = state?.scope ?? id;
    const changeset = { namespace, scope, changes: [change], actor: ACTOR, cause };
    return this.#states.commit(changeset, call);
  }
}

/** As if it had been committed just now. */
export function committedOf(state: State): Committed {
  const { namespace, scope, step } = state;
  return {
    namespace,
    scope,
    step,
    replayed: true,
    changes: [{ ...state, created: false, replayed: true }],
  };
}

export function objectOf(data: unknown): JsonObject {
  const isObject = typeof data === "object" && data !== null && !Array.isArray(data);
  return isObject ? (data as JsonObject) : {};
}

function taken(id: string, { type }: State): AgentRuntimeError {
  return new AgentRuntimeError(
    "INVALID_TYPE",
    `${id} is a state of type ${type}: a pod's lifecycle cannot be written there`,
    { field: "id" },
  );
}
