import type pg from "pg";

export interface Answer {
  readonly status: number;
  readonly body: string;
}

/** Thrown to answer what PostgREST and the gateway before it answer by themselves. */
export class Refusal extends Error {
  readonly status: number;
  readonly code: string | undefined;

  constructor(status: number, code: string | undefined, message: string) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

/** What PostgREST answers to an error of PostgreSQL: the first that fits, as its documentation lists them. */
const STATUSES: readonly (readonly [string, number])[] = [
  ["08", 503],
  ["09", 500],
  ["0L", 403],
  ["0P", 403],
  ["23503", 409],
  ["23505", 409],
  ["25006", 405],
  ["25", 500],
  ["28", 403],
  ["2D", 500],
  ["38", 500],
  ["39", 500],
  ["3B", 500],
  ["40", 500],
  ["53400", 500],
  ["53", 503],
  ["54", 500],
  ["55", 500],
  ["57", 500],
  ["58", 500],
  ["F0", 500],
  ["HV", 500],
  ["P0001", 400],
  ["P0", 500],
  ["XX", 500],
  ["42883", 404],
  ["42P01", 404],
  ["42P17", 500],
];

/** The HTTP status of a SQLSTATE; PTxyz says its own. */
export function postgrestStatus(sqlState: string, isAnonymous: boolean): number {
  if (sqlState === "42501") return isAnonymous ? 401 : 403;
  const own = /^PT([1-5]\d\d)$/.exec(sqlState);
  if (own !== null) return Number(own[1]);
  return STATUSES.find(([start]) => sqlState.startsWith(start))?.[1] ?? 400;
}

/** The SQLSTATE of an error of PostgreSQL; undefined where it is the driver's: the database is not there. */
export function sqlStateOf(error: unknown): string | undefined {
  const { code } = error as { code?: unknown };
  return typeof code === "string" && /^(?=.*\d)[0-9A-Z]{5}$/.test(code) ? code : undefined;
}

/** What is answered where something went wrong. */
export function answerTo(error: unknown, isAnonymous: boolean): Answer {
  if (error instanceof Refusal) {
    const { status, code, message } = error;
    return { status, body: JSON.stringify({ code, message, details: null, hint: null }) };
  }
  const { message, detail = null, hint = null } = error as pg.DatabaseError;
  const state = sqlStateOf(error);
  const [status, code] =
    state === undefined ? [503, "PGRST000"] : [postgrestStatus(state, isAnonymous), state];
  return { status, body: JSON.stringify({ code, message, details: detail, hint }) };
}
