import { AgentRuntimeError } from "../state/errors.ts";
import type { ErrorCode } from "../state/errors.ts";
import { toJson } from "./print/json.ts";
import { printable, printableLines } from "./print/text.ts";

/** How a command ended, as its caller sees it. */
export const EXIT = {
  done: 0,
  failed: 1,
  usage: 2,
  conflict: 3,
  notFound: 4,
  unavailable: 5,
  incomplete: 6,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** What was typed is wrong: an option, an argument, a file that is not there. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** The command did not do what it was asked to. */
export class CommandFailed extends Error {
  override readonly name = "CommandFailed";
  /** What to do now, where that is known. */
  readonly next: string | undefined;
  readonly exitCode: ExitCode;

  constructor(message: string, details: FailureDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.next = details.next;
    this.exitCode = details.exitCode ?? EXIT.failed;
  }
}

interface FailureDetails {
  readonly next?: string;
  /** Unsaid: refused or failed. */
  readonly exitCode?: ExitCode;
  readonly cause?: unknown;
}

/** The exit code that an error stands for. */
export function exitCodeOf(error: unknown): ExitCode {
  if (error instanceof UsageError) return EXIT.usage;
  if (error instanceof CommandFailed) return error.exitCode;
  if (!(error instanceof AgentRuntimeError)) return EXIT.failed;
  if (error.code === "INVALID_CONFIG") return EXIT.usage;
  if (error.status === 409 || error.status === 412) return EXIT.conflict;
  if (error.status === 404 || error.status === 410) return EXIT.notFound;
  return error.status === 503 ? EXIT.unavailable : EXIT.failed;
}

/** What a person reads about an error: a sentence, and a line with the next step where one is known. */
export function describeError(error: unknown): string {
  if (!isExpected(error)) {
    const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
    return `agent_runtime: this is a fault of the program; please report it\n${printableLines(stack)}`;
  }
  const next = nextStep(error);
  const sentence = `agent_runtime: ${printableLines(error.message)}`;
  return next === undefined ? sentence : `${sentence}\nnext: ${printable(next)}`;
}

/** The same for programs: one JSON document. */
export function errorToJson(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  const isOurs = error instanceof AgentRuntimeError;
  const code = isOurs ? error.code : isExpected(error) ? error.name : "INTERNAL";
  const { cause: _, ...facts } = isOurs ? error.facts : {};
  const next = isExpected(error) ? nextStep(error) : undefined;
  return toJson({ code, message, ...(next === undefined ? {} : { next }), ...facts });
}

function isExpected(error: unknown): error is AgentRuntimeError | UsageError | CommandFailed {
  return (
    error instanceof AgentRuntimeError ||
    error instanceof UsageError ||
    error instanceof CommandFailed
  );
}

const NEXT: Partial<Record<ErrorCode, string>> = {
  UNAUTHENTICATED: "pass a token: --token TOKEN, or the variable AGENT_RUNTIME_TOKEN",
  FORBIDDEN: "use a token with this permission, or another --namespace",
  STATE_NOT_FOUND: "list the states: agent_runtime state list",
  SCOPE_NOT_FOUND: "list the states: agent_runtime state list",
  VERSION_NOT_FOUND: "list its versions: agent_runtime state history ID",
  GONE: "read an older version (get ID --version N), or write it again: its versions continue",
  VERSION_CONFLICT: "read it again (get ID), decide again, and write with --if-version",
  PRECONDITION_FAILED: "read it again (get ID), decide again, and write with --if-version",
  ALREADY_EXISTS: "omit --create-only to replace it, or use another id",
  IDEMPOTENCY_KEY_REUSED: "use a new --key for different content",
  ROLLBACK_LAGS: "retry in a moment, or restore from main's history: --history",
  COPY_DIVERGES: "restore from main's history: --history",
  SCOPE_ON_HOLD: "see why (scope SCOPE), then release it: agent_runtime state release SCOPE",
  STEP_QUARANTINED: "see which steps are in quarantine: agent_runtime state scope SCOPE",
  PARKED_NOT_FOUND: "list what is parked: agent_runtime state parked list",
  RATE_LIMITED: "wait a moment, then repeat the command",
};

function nextStep(error: AgentRuntimeError | UsageError | CommandFailed): string | undefined {
  if (error instanceof UsageError) return "see --help";
  if (error instanceof CommandFailed) return error.next;
  const { mayHaveHappened, resumeFrom, current } = error.facts;
  if (mayHaveHappened === true) {
    return "the write may have happened: check (get ID, history ID) before you repeat it; with --key, repeating is always safe";
  }
  if (error.code === "GAP" && resumeFrom !== undefined) return `resume with --after ${resumeFrom}`;
  if (error.code === "UNAVAILABLE") return unavailableStep(error);
  const version = versionOf(current);
  if (version !== undefined && error.code !== "ALREADY_EXISTS" && NEXT[error.code] !== undefined) {
    return `it is at version ${version} now: ${NEXT[error.code]} ${version}`;
  }
  return NEXT[error.code];
}

/** A service that answers "not now" needs patience; one that does not answer needs to be started. */
function unavailableStep(error: AgentRuntimeError): string | undefined {
  const { retryAfterMs, field } = error.facts;
  if (field !== undefined) return `correct ${field} in the configuration of the service`;
  if (retryAfterMs !== undefined) return `retry in ${Math.ceil(retryAfterMs / 1000)} s`;
  if (error.cause === undefined) return "wait a moment, then repeat the command";
  // What is said of another part (a database, a broker, containerd) names it.
  return /^the (connection to the )?service /.test(error.message)
    ? "start a service (agent_runtime state), or name its address: --url URL"
    : undefined;
}

function versionOf(current: unknown): string | undefined {
  if (typeof current !== "object" || current === null) return undefined;
  const version: unknown = Reflect.get(current, "version");
  return typeof version === "string" ? printable(version) : undefined;
}
