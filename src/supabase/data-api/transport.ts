import { setTimeout as sleep } from "node:timers/promises";
import { Slots } from "../../service/slots.ts";
import { AgentRuntimeError } from "../../state/errors.ts";
import type {
  Caller,
  CopyAnswer,
  CopyReader,
  Operation,
  Parameters,
  Transport,
  Values,
} from "../caller.ts";
import { formatPlace } from "../places.ts";
import { unavailable } from "../failure.ts";
import type { Row } from "../rows.ts";
import { SCHEMA_ADVICE } from "../schema-advice.ts";
import { COPY_STANDING, demandValues, standingOf } from "../sql/copy-standing.ts";
import type { Demand } from "../sql/copy-standing.ts";
import type { DataApiAddress } from "./address.ts";
import { DataApiClient } from "./client.ts";
import type { DataApiAnswer, DataApiRequest } from "./client.ts";
import { isUnknownFunction, refusalOf } from "./refusal.ts";

/** Longer ones are refused somewhere on the way. */
const MAX_URL_CHARACTERS = 8_000;

/** How long after a migration the API may not know its functions. */
const SCHEMA_PATIENCE_MS = 5_000;
const SCHEMA_RETRY_MS = 250;

/**
 * Documents in one request. As text inside of JSON they may double, and an API takes about a megabyte for sure; a
 * larger changeset goes alone.
 */
const BATCH_BYTES = 512 * 1_024;

export interface DataApiOptions {
  readonly address: DataApiAddress;
  /** How long one call may take. */
  readonly statementTimeoutMs: number;
  readonly lanes: number;
  readonly readers: number;
}

/** Calls over HTTPS: writes by POST, reads by GET, so that a read replica answers them too. */
export function openDataApiTransport(options: DataApiOptions): Transport {
  const { address, statementTimeoutMs, lanes, readers } = options;
  const client = new DataApiClient(address, statementTimeoutMs);
  const caller = new DataApiCaller(client, address);
  const reader = new DataApiCaller(client, address, new Slots(readers));
  return {
    lanes: Array.from({ length: lanes }, () => caller),
    reader,
    taskBell: null,
    changeBell: null,
    copyReader: reader,
    batchBytes: BATCH_BYTES,
    close: () => {
      client.close();
      return Promise.resolve();
    },
  };
}

class DataApiCaller implements Caller, CopyReader {
  readonly #client: DataApiClient;
  readonly #address: DataApiAddress;
  readonly #slots: Slots | undefined;

  constructor(client: DataApiClient, address: DataApiAddress, slots?: Slots) {
    this.#client = client;
    this.#address = address;
    this.#slots = slots;
  }

  async call<Taken extends Parameters>(
    operation: Operation<Taken>,
    values: Values<Taken>,
  ): Promise<Row[]> {
    const { fn, writes } = operation;
    const answer = await this.#send(this.#requestOf(operation, values));
    if (answer.status === 200) return rowsOf(answer.text, operation);
    throw refusalOf(answer, { address: this.#address, fn, writes });
  }

  async read<Taken extends Parameters>(
    operation: Operation<Taken>,
    values: Values<Taken>,
    demand: Demand,
  ): Promise<CopyAnswer> {
    const { fn, parameters } = operation;
    const q = jsonOf(parameters, values);
    const demanded = jsonOf(COPY_STANDING.parameters, demandValues(demand));
    const json = `{"fn":"${fn}","q":${q},${demanded.slice(1)}`;
    // Not patient: while a copy lacks the function, main has it.
    const answer = await this.#client.send(this.#readOf("/rpc/read_copy", json), this.#slots);
    if (answer.status !== 200)
      throw refusalOf(answer, { address: this.#address, fn, writes: false });
    return copyAnswerOf(answer.text, operation);
  }

  /** Sent again for as long as the function may only just have been made. */
  async #send(request: DataApiRequest): Promise<DataApiAnswer> {
    const giveUpAt = performance.now() + SCHEMA_PATIENCE_MS;
    for (;;) {
      const answer = await this.#client.send(request, this.#slots);
      if (!isUnknownFunction(answer) || performance.now() > giveUpAt) return answer;
      await sleep(SCHEMA_RETRY_MS);
    }
  }

  #requestOf<Taken extends Parameters>(
    { fn, parameters, writes }: Operation<Taken>,
    values: Values<Taken>,
  ): DataApiRequest {
    const path = `/rpc/${fn}_json`;
    const json = jsonOf(parameters, values);
    return writes ? { method: "POST", path, body: json, writes } : this.#readOf(path, json);
  }

  #readOf(path: string, json: string): DataApiRequest {
    const query = `${path}?q=${encodeURIComponent(json)}`;
    return this.#client.urlLength(query) <= MAX_URL_CHARACTERS
      ? { method: "GET", path: query, writes: false }
      : { method: "POST", path, body: `{"q":${json}}`, writes: false };
  }
}

/** Values as their doors take them: 64-bit numbers and documents as text, a list of nothing but nulls as null. */
function jsonOf<Taken extends Parameters>(parameters: Taken, values: Values<Taken>): string {
  const named = Object.keys(parameters).map((name): [string, unknown] => {
    const value: unknown = values[name];
    const isEmpty = Array.isArray(value) && value.every((item) => item === null);
    if (isEmpty) return [name, null];
    const isPlaces = parameters[name] === "tid[]";
    return [name, isPlaces ? (value as (number | null)[]).map(placeText) : value];
  });
  return JSON.stringify(Object.fromEntries(named), (_name, value: unknown) =>
    typeof value === "bigint" ? value.toString() : value,
  );
}

function placeText(place: number | null): string | null {
  return place === null ? null : formatPlace(place);
}

/** The rows of an answer, `{"columns": [...], "rows": [[...]]}`, with the operation's columns in their order. */
function rowsOf(text: string, operation: Operation): Row[] {
  const answer = tableIn(parse(text));
  if (answer === undefined) throw noAnswer(operation);
  return orderedRows(answer, operation);
}

/** `{"standing": [...], "answer": ...}`, the answer as `rowsOf` takes it. */
function copyAnswerOf(text: string, operation: Operation): CopyAnswer {
  const { standing, answer } = (parse(text) ?? {}) as { standing?: unknown; answer?: unknown };
  const table = tableIn(answer);
  if (!Array.isArray(standing) || table === undefined) throw noAnswer(operation);
  return { standing: standingOf(standing as string[]), rows: orderedRows(table, operation) };
}

function noAnswer({ fn, writes }: Operation): AgentRuntimeError {
  return unavailable(new Error(`the answer to ${fn} is none of a Data API`), writes);
}

interface Table {
  readonly columns: readonly string[];
  readonly rows: Row[];
}

function orderedRows(table: Table, { fn, columns, writes }: Operation): Row[] {
  const places = columns.map((name) => table.columns.indexOf(name));
  const missing = places.indexOf(-1);
  if (missing >= 0) {
    throw new AgentRuntimeError(
      "SCHEMA_MISMATCH",
      `The function agent_state_api.${fn} of the database answers no column "${columns[missing]}". ${SCHEMA_ADVICE}`,
      { mayHaveHappened: writes },
    );
  }
  if (columns.length === table.columns.length && places.every((place, at) => place === at)) {
    return table.rows;
  }
  return table.rows.map((row) => places.map((place) => row[place] ?? null));
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function tableIn(value: unknown): Table | undefined {
  const { columns, rows } = (value ?? {}) as { columns?: unknown; rows?: unknown };
  if (!Array.isArray(columns) || !Array.isArray(rows)) return undefined;
  return { columns: columns as string[], rows: rows as Row[] };
}
