import type { ChangeRow, PreparedChange, PreparedUnit } from "../../state/ports.ts";
import { bigintArray, integerArray, placeArray, textArray } from "../binary-array.ts";
import type { Connection } from "../connection.ts";
import { parsePlace } from "../places.ts";
import type { Place, Places } from "../places.ts";
import { bigint, boolean, digest, text, timestamp } from "../rows.ts";
import type { Row } from "../rows.ts";

const COMMIT = `select n, code, detail, type, scope, version, step, phase, digest, created, at, place
  from agent_state_api.commit_batch($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20)`;

const OPERATIONS = { update: "u", delta: "c", delete: "d" } as const;

export interface CommitOptions {
  /** The largest document, in bytes of JSON text. */
  readonly dataBytes: number;
  /** False: the caller believes that all these states exist. */
  readonly reserve: boolean;
  /** Which process writes. */
  readonly writer: number;
  /** What is remembered of where rows lie; it learns from the answer. */
  readonly places: Places;
}

/** Commits units in one transaction, each with its own fate, in the order given. */
export async function commitBatch(
  connection: Connection,
  units: readonly PreparedUnit[],
  options: CommitOptions,
): Promise<ChangeRow[][]> {
  const rows = await connection.query(COMMIT, [
    ...columns(units),
    options.dataBytes,
    options.reserve,
    options.writer,
    ...hints(units, options.places),
  ]);
  return deal(rows, units, options.places);
}

function columns(
  units: readonly PreparedUnit[],
): (Buffer | readonly (Date | string | null)[] | null)[] {
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
  return [
    integerArray(numbers),
    textArray(owners.map((unit) => unit.namespace)),
    textArray(changes.map((change) => change.id)),
    textArray(changes.map((change) => change.type)),
    textArray(owners.map((unit) => unit.scope)),
    textArray(changes.map((change) => OPERATIONS[change.op])),
    textArray(
      changes.map((change) => change.body),
      "json",
    ),
    textArray(changes.map((change) => change.phase)),
    bigintArray(changes.map((change) => change.expectedVersion)),
    bigintArray(changes.map((change) => change.basedOn)),
    bigintArray(owners.map((unit) => unit.expectedStep)),
    textArray(owners.map((unit) => unit.actor)),
    textArray(owners.map((unit) => unit.cause)),
    textArray(owners.map((unit) => unit.idempotencyKey)),
    expiries(changes),
  ];
}

function hints(units: readonly PreparedUnit[], places: Places): [Buffer, Buffer] {
  const known = units.flatMap(({ namespace, changes }) =>
    changes.map(({ id }) => places.of(namespace, id)),
  );
  return [
    placeArray(known.map((one) => one?.place ?? null)),
    placeArray(known.map((one) => one?.head ?? null)),
  ];
}

function expiries(changes: readonly PreparedChange[]): (Date | string | null)[] | null {
  if (changes.every((change) => change.expiresAt === null)) return null;
  return changes.map(({ expiresAt }) => (expiresAt === "never" ? "infinity" : expiresAt));
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
    answers[index] = {
      code: row[1] ?? null,
      detail: row[2] ?? null,
      type: row[3] ?? "",
      scope: row[4] ?? "",
      version: row[5] === null ? 0n : bigint(row, 5),
      step: row[6] === null ? 0n : bigint(row, 6),
      phase: row[7] ?? null,
      digest: digest(row, 8),
      created: boolean(row, 9),
      at,
    };
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
