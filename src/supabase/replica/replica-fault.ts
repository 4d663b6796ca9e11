import { AgentRuntimeError } from "../../state/errors.ts";
import { sqlState } from "../failure.ts";

/** A read that came before what it must see: not an error of anybody. */
export class Behind extends Error {
  constructor() {
    super("the replica has not come that far");
    this.name = "Behind";
  }
}

/** What the failure of a read on a replica says about the replica. */
export type ReplicaFault =
  /** It does not have what was asked for, yet. */
  | "behind"
  /** The read stood in the way of its recovery. */
  | "conflict"
  /** It does not have the functions, yet. */
  | "schema"
  /** It does not answer. */
  | "unreachable"
  /** The read itself is at fault, or nobody knows. */
  | "refused";

/** Function, schema, table and column that are not there. */
const MISSING = new Set(["42883", "3F000", "42P01", "42703"]);

/** Recovery cancels reads with 40001; with 57014 or 40P01 where it says so, and 57P04 where it drops the database. */
const CANCELED = new Set(["40001", "40P01", "57014", "55P03"]);

export function faultOf(error: unknown): ReplicaFault {
  if (error instanceof Behind) return "behind";
  if (!(error instanceof AgentRuntimeError)) return "refused";
  const state = sqlState(error.cause);
  if (error.code === "SCHEMA_MISMATCH" || (state !== undefined && MISSING.has(state)))
    return "schema";
  if (state !== undefined && CANCELED.has(state)) return "conflict";
  return error.code === "UNAVAILABLE" || error.code === "RATE_LIMITED" ? "unreachable" : "refused";
}
