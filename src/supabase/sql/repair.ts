import type { CheckName } from "../../state/fsck.ts";
import type { StateKey } from "../../state/ports.ts";
import type { LoggedChange } from "../../state/rollback-port.ts";
import type { Version } from "../../state/state.ts";
import type { Caller, Operation } from "../caller.ts";
import { bigint } from "../rows.ts";

const REPAIR_ROW = {
  fn: "repair_row",
  parameters: { namespace: "text", id: "text", witness: "text", dry: "boolean" },
  columns: ["repair_row"],
  writes: true,
} as const satisfies Operation;

const REPAIR_TASK = {
  fn: "repair_task",
  parameters: { namespace: "text", id: "text", check: "text", is_dry: "boolean" },
  columns: ["repair_task"],
  writes: true,
} as const satisfies Operation;

const RESTORE_CHANGE = {
  fn: "restore_change",
  parameters: {
    namespace: "text",
    id: "text",
    version: "bigint",
    step: "bigint",
    position: "integer",
    at: "text",
    kind: "text",
    stored: "text",
    phase: "text",
    actor: "text",
    cause: "text",
    body: "text",
    dry: "boolean",
  },
  columns: ["restore_change"],
  writes: true,
} as const satisfies Operation;

const MISSING_VERSIONS = {
  fn: "missing_versions",
  parameters: { namespace: "text", id: "text", limit: "integer" },
  columns: ["version"],
  writes: false,
} as const satisfies Operation;

/** Versions of a state that ought to be kept and are not, oldest first. */
export async function missingVersions(
  reader: Caller,
  { namespace, id }: StateKey,
  limit: number,
): Promise<Version[]> {
  const rows = await reader.call(MISSING_VERSIONS, { namespace, id, limit });
  return rows.map((row) => bigint(row, 0));
}

/** Makes a row what its history makes it; null where it did (`isDry`: would), or why not. */
export async function repairRow(
  writer: Caller,
  { namespace, id }: StateKey,
  options: { readonly witness: string | null; readonly isDry: boolean },
): Promise<string | null> {
  const { witness, isDry: dry } = options;
  const [row] = await writer.call(REPAIR_ROW, { namespace, id, witness, dry });
  return row![0] ?? null;
}

/** Puts the scheduling of a task right by one check; null where it did (`isDry`: would), or why not. */
export async function repairTask(
  writer: Caller,
  { namespace, id }: StateKey,
  { check, isDry }: { readonly check: CheckName; readonly isDry: boolean },
): Promise<string | null> {
  const [row] = await writer.call(REPAIR_TASK, { namespace, id, check, is_dry: isDry });
  return row![0] ?? null;
}

/** Puts a change back as it was committed; null where it did (`isDry`: would), or why not. */
export async function restoreChange(
  writer: Caller,
  { namespace, id, version }: StateKey & { readonly version: Version },
  options: { readonly copy: LoggedChange | null; readonly isDry: boolean },
): Promise<string | null> {
  const { copy, isDry: dry } = options;
  const [row] = await writer.call(RESTORE_CHANGE, {
    namespace,
    id,
    version,
    step: copy?.step ?? null,
    position: copy?.position ?? 0,
    at: copy?.at ?? null,
    kind: copy?.kind ?? null,
    stored: copy?.stored ?? null,
    phase: copy?.phase ?? null,
    actor: copy?.actor ?? null,
    cause: copy?.cause ?? null,
    body: copy?.body ?? null,
    dry,
  });
  return row![0] ?? null;
}
