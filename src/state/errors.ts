import type { Json } from "./json.ts";

/** Every code this package throws, with its HTTP status. docs/errors.md says what to do about each. */
export const ERROR_STATUS = {
  INVALID_ID: 400,
  INVALID_TYPE: 400,
  INVALID_SCOPE: 400,
  INVALID_NAMESPACE: 400,
  INVALID_DATA: 400,
  INVALID_JSON: 400,
  INVALID_PATCH: 400,
  INVALID_PHASE: 400,
  INVALID_VERSION: 400,
  INVALID_STEP: 400,
  INVALID_CURSOR: 400,
  INVALID_LIMIT: 400,
  INVALID_REQUEST: 400,
  INVALID_CONFIG: 400,
  UNKNOWN_FIELD: 400,
  UNAUTHENTICATED: 401,
  FORBIDDEN: 403,
  STATE_NOT_FOUND: 404,
  VERSION_NOT_FOUND: 404,
  STEP_NOT_FOUND: 404,
  SCOPE_NOT_FOUND: 404,
  TASK_NOT_FOUND: 404,
  PARKED_NOT_FOUND: 404,
  ROUTE_NOT_FOUND: 404,
  METHOD_NOT_ALLOWED: 405,
  VERSION_CONFLICT: 409,
  STEP_CONFLICT: 409,
  ALREADY_EXISTS: 409,
  EPOCH_FENCED: 409,
  EFFECT_IN_DOUBT: 409,
  TASK_ENDED: 409,
  COPY_DIVERGES: 409,
  NO_EARLIER_STEP: 409,
  STEP_QUARANTINED: 409,
  HISTORY_BROKEN: 409,
  RESTORE_REFUSED: 409,
  GONE: 410,
  GAP: 410,
  HISTORY_PRUNED: 410,
  PRECONDITION_FAILED: 412,
  PAYLOAD_TOO_LARGE: 413,
  UNSUPPORTED_MEDIA_TYPE: 415,
  ILLEGAL_TRANSITION: 422,
  TERMINAL_PUBLISHED: 422,
  TASK_TOO_DEEP: 422,
  TASK_TOO_WIDE: 422,
  IDEMPOTENCY_KEY_REUSED: 422,
  SCOPE_ON_HOLD: 423,
  RATE_LIMITED: 429,
  UNAVAILABLE: 503,
  ROLLBACK_LAGS: 503,
  CANCELED: 499,
  DATA_DIRECTORY: 500,
  BACKUP_DAMAGED: 500,
  SCHEMA_MISMATCH: 500,
  RESTORE_UNFINISHED: 500,
  INTERNAL: 500,
} as const;

/** A stable code of an error: docs/errors.md lists all of them. */
export type ErrorCode = keyof typeof ERROR_STATUS;

/** Details of an error, beside its message. */
export interface ErrorFacts {
  /** Whether the write may have happened; present only if that is uncertain. */
  readonly mayHaveHappened?: boolean;
  /** Milliseconds after which a retry is worthwhile. */
  readonly retryAfterMs?: number;
  /** The current state, in its JSON form. */
  readonly current?: Json;
  /** RFC 6902 operations from the current document to the one that was refused. */
  readonly diff?: Json;
  /** What a refused rollback would have done, in its JSON form. */
  readonly plan?: Json;
  /** The invalid field, and the nearest known name. */
  readonly field?: string;
  readonly nearest?: string;
  /** The cursor to resume from after a GAP. */
  readonly resumeFrom?: string;
  readonly cause?: unknown;
}

/** Every error that is thrown on purpose. Match on `code`, never on `message`. */
export class AgentRuntimeError extends Error {
  override readonly name = "AgentRuntimeError";
  readonly code: ErrorCode;
  readonly facts: ErrorFacts;

  constructor(code: ErrorCode, message: string, facts: ErrorFacts = {}) {
    super(message, facts.cause === undefined ? undefined : { cause: facts.cause });
    this.code = code;
    this.facts = facts;
  }

  /** Its HTTP status. */
  get status(): number {
    return ERROR_STATUS[this.code];
  }

  /** Whether the same call, unchanged, may succeed later. */
  get retryable(): boolean {
    return ["UNAVAILABLE", "ROLLBACK_LAGS", "RATE_LIMITED"].includes(this.code);
  }
}

/** Whether what failed so may have happened all the same. */
export function isUncertain(error: unknown): boolean {
  return error instanceof AgentRuntimeError && error.facts.mayHaveHappened === true;
}
