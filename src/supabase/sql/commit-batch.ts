import type { ChangeRow, PreparedChange, PreparedUnit } from "../../state/ports.ts";
import type { Step, Version } from "../../state/state.ts";
import type { Caller, Operation, Values } from "../caller.ts";
import { parsePlace } from "../places.ts";
import type { Place, Places } from "../places.ts";
import { bigint, boolean, digest, text, timestamp } from "../rows.ts";
import type { Row } from "../rows.ts";

const COMMIT_BATCH = {
  fn: "commit_batch",
  parameters: {
    unit: "integer[]",
    namespace: "text[]",
    id: "text[]",
    type: "text[]",
    scope: "text[]",
    op: "text[]",
    body: "json[]",
    phase: "text[]",
    expected: "bigint[]",
    based_on: "bigint[]",
    expected_step: "bigint[]",
    actor: "text[]",
    cause: "text[]",
    key: "text[]",
    expires: "timestamptz[]",
    data_bytes: "integer",
    create: "boolean",
    writer: "integer",
    place: "tid[]",
    head: "tid[]",
    data_depth: "integer",
    traceparent: "text[]",
  },
  columns: [
    "n",
    "code",
    "detail",
    "type",
    "scope",
    "version",
    "step",
    "phase",
    "digest",
    "created",
    "at",
    "place",
  ],
  writes: true,
} as const satisfies Operation;

const OPERATIONS = { update: "u", delta: "c", delete: "d" } as const;

export interface CommitOptions {
  /** The largest document, in bytes of JSON text. */
  readonly dataBytes: number;
  /** The most levels that a change to a document may lead to. */
  readonly dataDepth: number;
  /** False: the caller believes that all these states exist. */
  readonly reserve: boolean;
  /** Which process writes. */
  readonly writer: number;
  /** What is remembered of where rows lie; it learns from the answer. */
  readonly places: Places;
}

/** Commits units in one transaction, each with its own fate, in the order given. */
export async function commitBatch(
  lane: Caller,
  units: readonly PreparedUnit[],
  options: CommitOptions,
): Promise<ChangeRow[][]> {
  const rows = await lane.call(COMMIT_BATCH, valuesOf(units, options));
  return deal(rows, units, options.places);
}

function valuesOf(
  units: readonly PreparedUnit[],
  { dataBytes, dataDepth, reserve, writer, places }: CommitOptions,
): Values<(typeof COMMIT_BATCH)["parameters"]> {
  const changes: PreparedChange[] = [];
  const owners: PreparedUnit[] = [];
  const numbers: number[] = [];
  units.forEach((unit, index) => {
    for (const change of unit.changes) {
      changes.push(change);
      owners.push(unit);
      numbers.push(index + 1);
    }
  });
  const known = changes.map(({ id }, index) => places.of(owners[index]!.namespace, id));
  return {
    unit: numbers,
    namespace: owners.map((unit) => unit.namespace),
    id: changes.map((change) => change.id),
    type: changes.map((change) => change.type),
    scope: owners.map((unit) => unit.scope),
    op: changes.map((change) => OPERATIONS[change.op]),
    body: changes.map((change) => change.body),
    phase: changes.map((change) => change.phase),
    expected: changes.map((change) => change.expectedVersion),
    based_on: changes.map((change) => change.basedOn),
    expected_step: owners.map((unit) => unit.expectedStep),
    actor: owners.map((unit) => unit.actor),
    cause: owners.map((unit) => unit.cause),
    key: owners.map((unit) => unit.idempotencyKey),
    expires: changes.map(({ expiresAt }) => (expiresAt === "never" ? "infinity" : expiresAt)),
    data_bytes: dataBytes,
    create: reserve,
    writer,
    place: known.map((one) => one?.place ?? null),
    head: known.map((one) => one?.head.place ?? null),
    data_depth: dataDepth,
    traceparent: owners.map(({ traceparent = null }) => traceparent),
  };
}

/** Rows come in any order, each with the number of its change. */
function deal(
  rows: readonly Row[],
  units: readonly PreparedUnit[],
  remembered: Places,
): ChangeRow[][] {
  const answers: ChangeRow[] = Array.from({ length: rows.length });
  const places: (Place | null)[] = Array.from({ length: rows.length }, () => null);
  let stamp = "";
  let at = new Date(0);
  for (const row of rows) {
    if (row[10] !== stamp) {
      stamp = text(row, 10);
      at = timestamp(stamp);
    }
    const index = Number(row[0]) - 1;
    places[index] = row[11] === null ? null : parsePlace(text(row, 11));
    answers[index] = new Answer(row, at);
  }
  let next = 0;
  return units.map((unit) => {
    const from = next;
    next += unit.changes.length;
    const answer = answers.slice(from, next);
    remembered.note(unit, answer, places.slice(from, next));
    return answer;
  });
}

/** A class, for it outlives what answered it: a literal would soon keep its texts in V8's old space. */
class Answer implements ChangeRow {
  readonly code: string | null;
  readonly detail: string | null;
  readonly type: string;
  readonly scope: string;
  readonly version: Version;
  readonly step: Step;
  readonly phase: string | null;
  readonly digest: string;
  readonly created: boolean;
  readonly at: Date;

  constructor(row: Row, at: Date) {
    this.code = row[1] ?? null;
    this.detail = row[2] ?? null;
    this.type = row[3] ?? "";
    this.scope = row[4] ?? "";
    this.version = row[5] === null ? 0n : bigint(row, 5);
    this.step = row[6] === null ? 0n : bigint(row, 6);
    this.phase = row[7] ?? null;
    this.digest = digest(row, 8);
    this.created = boolean(row, 9);
    this.at = at;
  }
}
