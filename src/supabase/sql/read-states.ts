import { PAGE_BYTES } from "../../state/page.ts";
import type { StateKey, StoredState } from "../../state/ports.ts";
import type { Version } from "../../state/state.ts";
import type { Caller, Operation } from "../caller.ts";
import { storedState, STORED_STATE } from "../stored-state.ts";

const READ_STATES = {
  fn: "read_states",
  parameters: { namespace: "text[]", id: "text[]" },
  columns: [...STORED_STATE, "n"],
  writes: false,
} as const satisfies Operation;

const READ_VERSION = {
  fn: "read_version",
  parameters: { namespace: "text", id: "text", version: "bigint" },
  columns: STORED_STATE,
  writes: false,
} as const satisfies Operation;

const READ_SCOPE_STATES = {
  fn: "read_scope_states",
  parameters: {
    namespace: "text",
    scope: "text",
    step: "bigint",
    after: "text",
    limit: "integer",
    bytes: "integer",
  },
  columns: STORED_STATE,
  writes: false,
} as const satisfies Operation;

/** States as they are, in the order of their keys; null where one was never written. */
export async function readStates(
  reader: Caller,
  keys: readonly StateKey[],
): Promise<(StoredState | null)[]> {
  const rows = await reader.call(READ_STATES, {
    namespace: keys.map((key) => key.namespace),
    id: keys.map((key) => key.id),
  });
  const states: (StoredState | null)[] = keys.map(() => null);
  for (const row of rows) states[Number(row[STORED_STATE.length]) - 1] = storedState(row);
  return states;
}

/** One state as it was at a version; null where history does not hold that. */
export async function readVersion(
  reader: Caller,
  key: StateKey,
  version: Version,
): Promise<StoredState | null> {
  const { namespace, id } = key;
  const [row] = await reader.call(READ_VERSION, { namespace, id, version });
  return row === undefined ? null : storedState(row);
}

/** One page of a scope's states by id, as they were right after a step: so many, or a page of bytes. */
export async function readScopeStates(
  reader: Caller,
  scope: { readonly namespace: string; readonly scope: string },
  page: { readonly step: bigint | null; readonly after: string | null; readonly limit: number },
): Promise<StoredState[]> {
  const rows = await reader.call(READ_SCOPE_STATES, { ...scope, ...page, bytes: PAGE_BYTES });
  return rows.map(storedState);
}
