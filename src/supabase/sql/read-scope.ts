import type { ChangeRow } from "../../state/ports.ts";
import type { PastRollback, ScopeStatus, Step } from "../../state/state.ts";
import type { Caller, Operation } from "../caller.ts";
import { bigint, bigints, boolean, date, digest, text } from "../rows.ts";

const READ_SCOPE = {
  fn: "read_scope",
  parameters: { namespace: "text", scope: "text" },
  columns: ["step", "hold", "hold_reason", "quarantined", "rollbacks"],
  writes: false,
} as const satisfies Operation;

const READ_STEP = {
  fn: "read_step",
  parameters: { namespace: "text", scope: "text", step: "bigint" },
  columns: ["id", "type", "scope", "version", "step", "phase", "digest", "created", "at"],
  writes: false,
} as const satisfies Operation;

interface RollbackJson extends Pick<PastRollback, "source" | "reason" | "actor"> {
  readonly step: string;
  readonly restoredStep: string;
  readonly undoneStep: string;
  readonly at: string;
}

/** Where a scope stands; null where it has no step. */
export async function readScope(
  reader: Caller,
  namespace: string,
  scope: string,
): Promise<ScopeStatus | null> {
  const [row] = await reader.call(READ_SCOPE, { namespace, scope });
  if (row === undefined) return null;
  return {
    namespace,
    scope,
    step: bigint(row, 0),
    rollbackStep: null, // The rollback database knows it.
    hold: boolean(row, 1),
    holdReason: row[2] ?? null,
    quarantined: bigints(row, 3),
    rollbacks: (JSON.parse(text(row, 4)) as RollbackJson[]).map((rollback) => ({
      ...rollback,
      step: BigInt(rollback.step),
      restoredStep: BigInt(rollback.restoredStep),
      undoneStep: BigInt(rollback.undoneStep),
      at: new Date(rollback.at),
    })),
  };
}

/** What one step did, as its commit answered. */
export async function readStep(
  reader: Caller,
  key: { readonly namespace: string; readonly scope: string },
  step: Step,
): Promise<(ChangeRow & { id: string })[]> {
  const { namespace, scope } = key;
  const rows = await reader.call(READ_STEP, { namespace, scope, step });
  return rows.map((row) => ({
    id: text(row, 0),
    code: null,
    detail: null,
    type: text(row, 1),
    scope: text(row, 2),
    version: bigint(row, 3),
    step: bigint(row, 4),
    phase: row[5] ?? null,
    digest: digest(row, 6),
    created: boolean(row, 7),
    at: date(row, 8),
  }));
}
