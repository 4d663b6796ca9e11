import type { ListOptions } from "../../state/request.ts";
import type { StateSummary } from "../../state/state.ts";
import type { Caller, Operation } from "../caller.ts";
import { bigint, date, digest, optional, text } from "../rows.ts";

const LIST_STATES = {
  fn: "list_states",
  parameters: {
    namespace: "text",
    type: "text",
    scope: "text",
    phase: "text",
    prefix: "text",
    after: "text",
    limit: "integer",
  },
  columns: [
    "namespace",
    "id",
    "type",
    "scope",
    "version",
    "step",
    "phase",
    "digest",
    "created_at",
    "updated_at",
    "expires_at",
  ],
  writes: false,
} as const satisfies Operation;

/** One page of a namespace's living states by id, without their documents. */
export async function listStates(
  reader: Caller,
  options: ListOptions & { readonly namespace: string; readonly limit: number },
): Promise<StateSummary[]> {
  const { namespace, type, scope, phase, idPrefix, after, limit } = options;
  const rows = await reader.call(LIST_STATES, {
    namespace,
    type: type ?? null,
    scope: scope ?? null,
    phase: phase ?? null,
    prefix: idPrefix ?? null,
    after: after ?? null,
    limit,
  });
  return rows.map((row) => ({
    namespace: text(row, 0),
    id: text(row, 1),
    type: text(row, 2),
    scope: text(row, 3),
    version: bigint(row, 4),
    step: bigint(row, 5),
    phase: row[6] ?? null,
    digest: digest(row, 7),
    createdAt: date(row, 8),
    updatedAt: date(row, 9),
    expiresAt: optional(row, 10, date),
  }));
}
