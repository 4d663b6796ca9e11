import pg from "pg";
import { PostgresBells } from "./bells.ts";
import { bigintArray, integerArray, placeArray, textArray } from "./binary-array.ts";
import type { Caller, CopyReader, Operation, Parameters, Transport, Values } from "./caller.ts";
import { Connection } from "./connection.ts";
import type { ConnectionOptions } from "./connection.ts";
import { ReadPool } from "./read-pool.ts";
import type { Row } from "./rows.ts";
import { COPY_STANDING, demandValues, standingOf } from "./sql/copy-standing.ts";

/** How often those who wait are woken at most, in milliseconds. */
const RING_TASKS_MS = 10;
const RING_CHANGES_MS = 20;

/** Documents in one transaction: more would only make the others wait. */
const BATCH_BYTES = 8 * 1024 * 1024;

/** Connections of PostgreSQL's own protocol, direct or through a pooler; opened when first used. */
export function openPostgresTransport(
  options: ConnectionOptions & {
    readonly lanes: number;
    readonly readers: number;
    readonly cutReadsAfterMs?: number;
  },
): Transport {
  const lanes = Array.from({ length: options.lanes }, () => new Connection(options));
  const pool = new ReadPool(options, options.readers);
  const bells = new PostgresBells(options, (statement, values) => pool.query(statement, values));
  return {
    lanes: lanes.map(callerOver),
    reader: {
      call: (operation, values) => {
        const query = operation.writes ? pool.write.bind(pool) : pool.query.bind(pool);
        return query(statementOf(operation), encode(operation, values));
      },
    },
    copyReader: copyReaderOver(pool),
    taskBell: bells.bell("agent_runtime_tasks", RING_TASKS_MS),
    changeBell: bells.bell("agent_runtime_changes", RING_CHANGES_MS),
    batchBytes: BATCH_BYTES,
    close: async () => {
      bells.close();
      await Promise.all([
        pool.close(options.cutReadsAfterMs),
        ...lanes.map((lane) => lane.close()),
      ]);
    },
  };
}

interface Queryable {
  query(statement: string, values: readonly unknown[]): Promise<Row[]>;
}

function callerOver(connection: Queryable): Caller {
  return {
    call: (operation, values) =>
      connection.query(statementOf(operation), encode(operation, values)),
  };
}

function copyReaderOver(connection: Queryable): CopyReader {
  return {
    read: async (operation, values, demand) => {
      const given = [...encode(COPY_STANDING, demandValues(demand)), ...encode(operation, values)];
      const rows = await connection.query(copyStatementOf(operation), given);
      const answers = COPY_STANDING.columns.length;
      return {
        standing: standingOf(rows[0]!),
        rows: rows.flatMap((row) => (row[answers] === null ? [] : [row.slice(answers + 1)])),
      };
    },
  };
}

const statements = new WeakMap<Operation, string>();

function statementOf(operation: Operation): string {
  let statement = statements.get(operation);
  if (statement === undefined) statements.set(operation, (statement = callOf(operation)));
  return statement;
}

const copyStatements = new WeakMap<Operation, string>();

/** The read beside the standing, so in one snapshot; one row with nothing found where it found none. */
function copyStatementOf(operation: Operation): string {
  let statement = copyStatements.get(operation);
  if (statement !== undefined) return statement;
  const read = callOf(operation, { after: Object.keys(COPY_STANDING.parameters).length });
  statement = `select s.*, r.* from (${callOf(COPY_STANDING)}) s left join (select true, x.* from (${read}) x) r on true`;
  copyStatements.set(operation, statement);
  return statement;
}

/** `select "id" from agent_state_api.read_step("p_namespace" => $1, ...)` */
function callOf(operation: Operation, { after = 0 } = {}): string {
  const columns = operation.columns.map((name) => pg.escapeIdentifier(name)).join(", ");
  const names = Object.keys(operation.parameters);
  const taken = names.map(
    (name, index) => `${pg.escapeIdentifier(`p_${name}`)} => $${after + index + 1}`,
  );
  return `select ${columns} from agent_state_api.${operation.fn}(${taken.join(", ")})`;
}

type Encode = (value: never) => unknown;

/** What `pg` is handed for each type; it knows what to make of the others. */
const ENCODE: Readonly<Partial<Record<Parameters[string], Encode>>> = {
  bigint: (value: bigint | null) => value?.toString() ?? null,
  "text[]": (items: readonly (string | null)[]) => textArray(items),
  "json[]": (items: readonly (string | null)[]) => textArray(items, "json"),
  "bigint[]": bigintArray,
  "integer[]": integerArray,
  "tid[]": placeArray,
  "timestamptz[]": (items: readonly unknown[]) =>
    items.every((item) => item === null) ? null : items,
};

function encode<Taken extends Parameters>(
  { parameters }: Operation<Taken>,
  values: Values<Taken>,
): unknown[] {
  return Object.entries(parameters).map(([name, type]) => {
    const value = values[name] as never;
    const encoder = ENCODE[type];
    return encoder === undefined ? value : encoder(value);
  });
}
