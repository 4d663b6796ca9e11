import type { ChainedChange, LoggedChange } from "../../state/rollback-port.ts";
import type { Values } from "../caller.ts";
import { bigint, text } from "../rows.ts";
import type { Row } from "../rows.ts";

/** The columns of a change, in every answer that has some. */
export const CHANGE_COLUMNS = [
  "namespace",
  "scope",
  "step",
  "position",
  "id",
  "type",
  "version",
  "at",
  "kind",
  "stored",
  "digest",
  "phase",
  "actor",
  "cause",
  "body",
] as const;

/** And the parameters of one, each an array. */
export const CHANGE_PARAMETERS = {
  namespace: "text[]",
  scope: "text[]",
  step: "bigint[]",
  position: "integer[]",
  id: "text[]",
  type: "text[]",
  version: "bigint[]",
  at: "text[]",
  kind: "text[]",
  stored: "text[]",
  digest: "text[]",
  phase: "text[]",
  actor: "text[]",
  cause: "text[]",
  body: "json[]",
} as const;

/** A change from those columns, the first of which is there. */
export function loggedChange(row: Row, from: number): LoggedChange {
  return {
    namespace: text(row, from),
    scope: text(row, from + 1),
    step: bigint(row, from + 2),
    position: Number(row[from + 3]),
    id: text(row, from + 4),
    type: text(row, from + 5),
    version: bigint(row, from + 6),
    at: text(row, from + 7),
    kind: text(row, from + 8),
    stored: text(row, from + 9),
    digest: text(row, from + 10),
    phase: row[from + 11] ?? null,
    actor: row[from + 12] ?? null,
    cause: row[from + 13] ?? null,
    body: row[from + 14] ?? null,
  };
}

/** Changes as parameters. */
export function changeValues(changes: readonly LoggedChange[]): Values<typeof CHANGE_PARAMETERS> {
  return {
    namespace: changes.map(({ namespace }) => namespace),
    scope: changes.map(({ scope }) => scope),
    step: changes.map(({ step }) => step),
    position: changes.map(({ position }) => position),
    id: changes.map(({ id }) => id),
    type: changes.map(({ type }) => type),
    version: changes.map(({ version }) => version),
    at: changes.map(({ at }) => at),
    kind: changes.map(({ kind }) => kind),
    stored: changes.map(({ stored }) => stored),
    digest: changes.map(({ digest }) => digest),
    phase: changes.map(({ phase }) => phase),
    actor: changes.map(({ actor }) => actor),
    cause: changes.map(({ cause }) => cause),
    body: changes.map(({ body }) => body),
  };
}

/** The digests before changes, as parameters. */
export function beforeValues(changes: readonly ChainedChange[]): readonly (string | null)[] {
  return changes.map(({ before }) => before);
}
