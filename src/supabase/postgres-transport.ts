import pg from "pg";
import { bigintArray, integerArray, placeArray, textArray } from "./binary-array.ts";
import type { Caller, Operation, Parameters, Transport, Values } from "./caller.ts";
import { Connection } from "./connection.ts";
import type { ConnectionOptions } from "./connection.ts";
import { ReadPool } from "./read-pool.ts";
import type { Row } from "./rows.ts";

/** Documents in one transaction: more would only make the others wait. */
const BATCH_BYTES = 8 * 1024 * 1024;

/** Connections of PostgreSQL's own protocol, direct or through a pooler; opened when first used. */
export function openPostgresTransport(
  options: ConnectionOptions & { readonly lanes: number; readonly readers: number },
): Transport {
  const lanes = Array.from({ length: options.lanes }, () => new Connection(options));
  const pool = new ReadPool(options, options.readers);
  return {
    lanes: lanes.map(callerOver),
    reader: callerOver(pool),
    batchBytes: BATCH_BYTES,
    close: async () => {
      await Promise.all([pool.close(), ...lanes.map((lane) => lane.close())]);
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

const statements = new WeakMap<Operation, string>();

/** `select "id" from agent_state_api.read_step("p_namespace" => $1, ...)` */
function statementOf(operation: Operation): string {
  const known = statements.get(operation);
  if (known !== undefined) return known;
  const columns = operation.columns.map((name) => pg.escapeIdentifier(name)).join(", ");
  const names = Object.keys(operation.parameters);
  const taken = names.map((name, index) => `${pg.escapeIdentifier(`p_${name}`)} => $${index + 1}`);
  const statement = `select ${columns} from agent_state_api.${operation.fn}(${taken.join(", ")})`;
  statements.set(operation, statement);
  return statement;
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
