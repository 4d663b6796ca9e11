import type { CheckName } from "../../state/fsck.ts";
import type { CheckedPage, Fault } from "../../state/fsck-ports.ts";
import type { ScopeKey } from "../../state/ports.ts";
import type { Caller, Operation } from "../caller.ts";
import { bigint, optional, text } from "../rows.ts";
import type { Row } from "../rows.ts";

const FAULT_COLUMNS = [
  "check_name",
  "namespace",
  "scope",
  "id",
  "version",
  "step",
  "detail",
  "evidence",
] as const;

const CHECK_STATES = {
  fn: "check_states",
  parameters: { after: "bigint", limit: "integer" },
  columns: [...FAULT_COLUMNS, "state_no"],
  writes: false,
} as const satisfies Operation;

const CHECK_THESE = {
  fn: "check_these",
  parameters: { state_no: "bigint[]" },
  columns: FAULT_COLUMNS,
  writes: false,
} as const satisfies Operation;

const SCOPE_STATE_NUMBERS = {
  fn: "scope_state_numbers",
  parameters: { namespace: "text", scope: "text", after: "bigint", limit: "integer" },
  columns: ["state_no"],
  writes: false,
} as const satisfies Operation;

const READ_STRAYS = {
  fn: "read_strays",
  parameters: { after: "bigint", limit: "integer" },
  columns: ["stray_no", "state_no"],
  writes: false,
} as const satisfies Operation;

const NEWEST_STATES = {
  fn: "newest_states",
  parameters: { limit: "integer" },
  columns: ["state_no"],
  writes: false,
} as const satisfies Operation;

const SUSPECT_TASKS = {
  fn: "suspect_tasks",
  parameters: { limit: "integer" },
  columns: ["state_no"],
  writes: false,
} as const satisfies Operation;

const SETTLE_STRAYS = {
  fn: "settle_strays",
  parameters: { stray_no: "bigint[]" },
  columns: ["settle_strays"],
  writes: true,
} as const satisfies Operation;

/** One page of all states, checked. */
export async function checkStates(
  reader: Caller,
  after: bigint,
  limit: number,
): Promise<CheckedPage> {
  const [end, ...faults] = await reader.call(CHECK_STATES, { after, limit });
  return {
    next: optional(end!, FAULT_COLUMNS.length, bigint),
    checked: Number(end![4]),
    faults: faults.map(faultOf),
  };
}

/** Some states, checked. */
export async function checkThese(reader: Caller, stateNos: readonly bigint[]): Promise<Fault[]> {
  return (await reader.call(CHECK_THESE, { state_no: stateNos })).map(faultOf);
}

/** The numbers of a scope's states after one. */
export async function scopeStateNumbers(
  reader: Caller,
  scope: ScopeKey,
  page: { readonly after: bigint; readonly limit: number },
): Promise<bigint[]> {
  const rows = await reader.call(SCOPE_STATE_NUMBERS, { ...scope, ...page });
  return rows.map((row) => bigint(row, 0));
}

/** What was touched by hand, after a number. */
export async function readStrays(
  reader: Caller,
  after: bigint,
  limit: number,
): Promise<{ readonly no: bigint; readonly stateNo: bigint | null }[]> {
  const rows = await reader.call(READ_STRAYS, { after, limit });
  return rows.map((row) => ({ no: bigint(row, 0), stateNo: optional(row, 1, bigint) }));
}

/** The states that the newest changes were made to. */
export async function newestStates(reader: Caller, limit: number): Promise<bigint[]> {
  return (await reader.call(NEWEST_STATES, { limit })).map((row) => bigint(row, 0));
}

/** Tasks that ought to have been seen to by now. */
export async function suspectTasks(reader: Caller, limit: number): Promise<bigint[]> {
  return (await reader.call(SUSPECT_TASKS, { limit })).map((row) => bigint(row, 0));
}

/** They have been looked at. */
export async function settleStrays(reader: Caller, nos: readonly bigint[]): Promise<void> {
  await reader.call(SETTLE_STRAYS, { stray_no: nos });
}

function faultOf(row: Row): Fault {
  return {
    check: text(row, 0) as CheckName,
    namespace: row[1] ?? null,
    scope: row[2] ?? null,
    id: row[3] ?? null,
    version: optional(row, 4, bigint),
    step: optional(row, 5, bigint),
    detail: text(row, 6),
    evidence: text(row, 7),
  };
}
