import { AgentRuntimeError } from "../state/errors.ts";

const RETRY_AFTER_MS = 500;

/**
 * SQLSTATE classes that say: not now. 08 connection, 40 rolled back, 53 resources, 55 not in this state,
 * 57 operator.
 */
const PASSING_CLASSES = new Set(["08", "40", "53", "55", "57"]);

/** What a failed query means for its caller. `sent`: whether the database may have seen it. */
export function failureOf(error: unknown, sent: boolean): AgentRuntimeError {
  if (error instanceof AgentRuntimeError) return error;
  const state = sqlState(error);
  if (state === undefined) return unavailable(error, sent);
  // The database answered: the transaction did not happen.
  if (state === "PT503") return unavailable(error, false);
  if (PASSING_CLASSES.has(state.slice(0, 2))) {
    // 57P0x: the server is going down; 08: a pooler lost it; 40003 says so itself. Whether it committed before,
    // none of them knows.
    return unavailable(error, sent && /^(57P|08|40003)/.test(state));
  }
  const setup = setupFailure(state, error);
  if (setup !== undefined) return setup;
  return new AgentRuntimeError(
    "INTERNAL",
    `The database refused a statement (${state}: ${messageOf(error)}). This is a fault of this program or of its schema; run \`agent_runtime state serve\` of the version that matches the database.`,
    { cause: error, mayHaveHappened: false },
  );
}

/** What whoever set up the database has to put right: the login, its rights, the schema. Nothing happened. */
function setupFailure(state: string, error: unknown): AgentRuntimeError | undefined {
  const said = `(${state}: ${messageOf(error)})`;
  const facts = { cause: error, mayHaveHappened: false };
  // A wrong user or password, or no such database.
  if (/^(28|3D)/.test(state)) {
    return new AgentRuntimeError(
      "UNAVAILABLE",
      `The database refused the login ${said}. Check the user, the password and the database in its URL; nothing happened.`,
      facts,
    );
  }
  if (state === "42501") {
    return new AgentRuntimeError(
      "UNAVAILABLE",
      `The login lacks a right on the database ${said}. \`agent_runtime state doctor\` says what to grant; nothing happened.`,
      facts,
    );
  }
  if (!MISSING.has(state) || !messageOf(error).includes("agent_state")) return undefined;
  return new AgentRuntimeError(
    "SCHEMA_MISMATCH",
    `The database does not have what this program calls ${said}: its schema is not there, or was made by another version. ` +
      "Start the version that it was upgraded for, or run `agent_runtime state migrate` of this one; nothing happened.",
    facts,
  );
}

/** A function and a schema that are not there. */
const MISSING = new Set(["42883", "3F000"]);

/** The SQLSTATE of an error that the database sent; undefined where it never answered. */
export function sqlState(error: unknown): string | undefined {
  if (typeof error !== "object" || error === null || !("code" in error)) return undefined;
  const { code } = error;
  // Node's own codes (ECONNREFUSED) have no digit; SQLSTATEs are five characters with at least one.
  return typeof code === "string" && /^(?=.*\d)[0-9A-Z]{5}$/.test(code) ? code : undefined;
}

/** Nobody answers, or not now. `error`: why, or a sentence that says it. */
export function unavailable(
  error: unknown,
  mayHaveHappened: boolean,
  retryAfterMs = RETRY_AFTER_MS,
): AgentRuntimeError {
  return new AgentRuntimeError(
    "UNAVAILABLE",
    `The database cannot be reached (${messageOf(error)}). ` +
      (mayHaveHappened
        ? "The write may have happened; repeat it with the same idempotency key."
        : "Nothing happened; try again."),
    { cause: error, mayHaveHappened, retryAfterMs },
  );
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message || error.name : String(error);
}
