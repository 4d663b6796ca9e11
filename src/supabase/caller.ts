import type { Bell } from "../state/bell.ts";
import type { Row } from "./rows.ts";
import type { Demand, Standing } from "./sql/copy-standing.ts";

/** The values that a parameter may have, by its type in SQL. */
interface ValueOf {
  text: string | null;
  bigint: bigint | null;
  integer: number;
  boolean: boolean;
  timestamptz: Date;
  "text[]": readonly (string | null)[];
  /** Each a JSON text. */
  "json[]": readonly (string | null)[];
  "bigint[]": readonly (bigint | null)[];
  "integer[]": readonly number[];
  "timestamptz[]": readonly (Date | "infinity" | null)[];
  /** As `parsePlace` makes them. */
  "tid[]": readonly (number | null)[];
}

export type Parameters = Readonly<Record<string, keyof ValueOf>>;

export type Values<Taken extends Parameters> = {
  readonly [Name in keyof Taken]: ValueOf[Taken[Name]];
};

/** A function of schema agent_state_api, in words that every transport understands. */
export interface Operation<Taken extends Parameters = Parameters> {
  readonly fn: string;
  /** By their names in SQL, without the `p_`. */
  readonly parameters: Taken;
  /** What its rows hold, in the order wanted. */
  readonly columns: readonly string[];
  /** False: it changes nothing, so it may run on a replica, and again after a failure. */
  readonly writes: boolean;
}

/** A way to the functions of a database. */
export interface Caller {
  /**
   * Rows of the operation's columns, each value still PostgreSQL's text.
   *
   * @throws {AgentRuntimeError} UNAVAILABLE, saying whether a write may have happened.
   */
  call<Taken extends Parameters>(
    operation: Operation<Taken>,
    values: Values<Taken>,
  ): Promise<Row[]>;
}

/** What a read on a copy found, and where the copy stood in the same snapshot. */
export interface CopyAnswer {
  readonly standing: Standing;
  readonly rows: Row[];
}

/** A way to the reads of a database that may be behind another. */
export interface CopyReader {
  /** @throws {AgentRuntimeError} UNAVAILABLE; SCHEMA_MISMATCH, INTERNAL: it may not have the functions yet. */
  read<Taken extends Parameters>(
    operation: Operation<Taken>,
    values: Values<Taken>,
    demand: Demand,
  ): Promise<CopyAnswer>;
}

/** All ways to one database that a store needs. */
export interface Transport {
  /** Each writes one batch at a time. */
  readonly lanes: readonly Caller[];
  readonly reader: Caller;
  readonly copyReader: CopyReader;
  /** Null where a database cannot wake those who wait. */
  readonly taskBell: Bell | null;
  readonly changeBell: Bell | null;
  /** Bytes of documents that one batch may hold; a larger changeset goes alone. */
  readonly batchBytes: number;
  close(): Promise<void>;
}
