import type {
  CopyFault,
  LogPlace,
  ProvenChange,
  RestorableScope,
  RestoredScope,
  RestoreSource,
} from "../../state/restore-port.ts";
import type { PageLimit, ScopeName } from "../../state/rollback-port.ts";
import type { Caller, Operation } from "../caller.ts";
import { bigint, boolean, optional, text } from "../rows.ts";
import type { Row } from "../rows.ts";
import { openTransport } from "../transport.ts";
import type { TransportOptions } from "../transport.ts";
import { releaseLease, takeLease } from "./follow.ts";
import { CHANGE_COLUMNS, loggedChange } from "./logged-change.ts";
import { readStatus } from "./read-copies.ts";

const RESTORABLE_SCOPES = {
  fn: "restorable_scopes",
  parameters: { namespace: "text", scope: "text", limit: "integer" },
  columns: [
    "namespace",
    "scope",
    "promoted_step",
    "proven_step",
    "known_step",
    "is_more_known",
    "hold",
    "quarantined",
    "doubt",
    "fault_step",
    "fault_id",
    "fault_version",
    "fault",
    "changes",
  ],
  writes: false,
} as const satisfies Operation;

const RESTORABLE_LOG = {
  fn: "restorable_log",
  parameters: {
    namespace: "text[]",
    scope: "text[]",
    step: "bigint[]",
    after_namespace: "text",
    after_scope: "text",
    after_id: "text",
    after_version: "bigint",
    limit: "integer",
    bytes: "bigint",
  },
  columns: [...CHANGE_COLUMNS, "before", "seal"],
  writes: false,
} as const satisfies Operation;

const COPIES_RESTORED = {
  fn: "copies_restored",
  parameters: { epoch: "bigint", namespace: "text[]", scope: "text[]", step: "bigint[]" },
  columns: ["copies_restored"],
  writes: true,
} as const satisfies Operation;

/** The rollback database, for whoever rebuilds main from it. Connects when first used. */
export function openRestoreSource(
  options: Omit<TransportOptions, "lanes" | "readers">,
): RestoreSource {
  const transport = openTransport({ ...options, lanes: 1, readers: 1 });
  const { reader } = transport;
  const writer = transport.lanes[0]!;
  let closing: Promise<void> | undefined;
  return {
    takeLease: (holder, ttlMs) => takeLease(writer, holder, ttlMs),
    releaseLease: (epoch) => releaseLease(writer, epoch),
    copiedTo: () => readStatus(reader),
    scopes: (after, limit) => readScopes(reader, after, limit),
    log: (scopes, after, limit) => readLog(reader, { scopes, after, limit }),
    restored: (epoch, scopes) => tellRestored(writer, epoch, scopes),
    close: () => (closing ??= transport.close()),
  };
}

async function readScopes(
  reader: Caller,
  after: ScopeName | null,
  limit: number,
): Promise<RestorableScope[]> {
  const { namespace = null, scope = null } = after ?? {};
  const rows = await reader.call(RESTORABLE_SCOPES, { namespace, scope, limit });
  return rows.map((row) => ({
    namespace: text(row, 0),
    scope: text(row, 1),
    promotedStep: bigint(row, 2),
    provenStep: optional(row, 3, bigint),
    knownStep: bigint(row, 4),
    isMoreKnown: boolean(row, 5),
    hold: boolean(row, 6),
    quarantined: text(row, 7),
    doubt: row[8] ?? null,
    fault: faultOf(row),
    changes: Number(row[13]),
  }));
}

function faultOf(row: Row): CopyFault | null {
  const step = optional(row, 9, bigint);
  if (step === null) return null;
  return { step, id: row[10] ?? null, version: optional(row, 11, bigint), why: text(row, 12) };
}

async function readLog(
  reader: Caller,
  wanted: {
    readonly scopes: readonly RestoredScope[];
    readonly after: LogPlace | null;
    readonly limit: PageLimit;
  },
): Promise<ProvenChange[]> {
  const { scopes, after, limit } = wanted;
  const rows = await reader.call(RESTORABLE_LOG, {
    ...scopeValues(scopes),
    after_namespace: after?.namespace ?? null,
    after_scope: after?.scope ?? null,
    after_id: after?.id ?? null,
    after_version: after?.version ?? null,
    limit: limit.rows,
    bytes: BigInt(limit.bytes),
  });
  const behind = CHANGE_COLUMNS.length;
  return rows.map((row) => ({
    ...loggedChange(row, 0),
    before: row[behind] ?? null,
    seal: row[behind + 1] ?? null,
  }));
}

async function tellRestored(
  caller: Caller,
  epoch: bigint,
  scopes: readonly RestoredScope[],
): Promise<true | null> {
  const [row] = await caller.call(COPIES_RESTORED, { epoch, ...scopeValues(scopes) });
  return boolean(row!, 0) ? true : null;
}

function scopeValues(scopes: readonly RestoredScope[]): {
  namespace: string[];
  scope: string[];
  step: bigint[];
} {
  return {
    namespace: scopes.map(({ namespace }) => namespace),
    scope: scopes.map(({ scope }) => scope),
    step: scopes.map(({ step }) => step),
  };
}
