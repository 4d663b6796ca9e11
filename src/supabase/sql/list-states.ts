import type { ListOptions } from "../../state/request.ts";
import type { StateSummary } from "../../state/state.ts";
import type { Caller, Operation } from "../caller.ts";
import { STATE_SUMMARY, stateSummary } from "../stored-state.ts";

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
  columns: STATE_SUMMARY,
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
  return rows.map(stateSummary);
}
