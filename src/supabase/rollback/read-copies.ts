import type { StateKey } from "../../state/ports.ts";
import type { ScopeCopy } from "../../state/recovery-ports.ts";
import type {
  CopiedDigest,
  CopyStanding,
  LoggedChange,
  RollbackStatus,
  ScopeName,
} from "../../state/rollback-port.ts";
import type { Version } from "../../state/state.ts";
import type { Caller, Operation } from "../caller.ts";
import { bigint, boolean, date, digest, optional, text } from "../rows.ts";
import type { Row } from "../rows.ts";
import { followedTo } from "./follow.ts";
import { loggedChange } from "./logged-change.ts";

const SCOPE = { namespace: "text", scope: "text" } as const;

const COPIED_SCOPE = {
  fn: "copied_scope",
  parameters: SCOPE,
  columns: [
    "promoted_step",
    "pending_step",
    "broken",
    "id",
    "version",
    "phase",
    "digest",
    "document",
    "verified",
  ],
  writes: false,
} as const satisfies Operation;

const STANDING = ["promoted_step", "pending_step", "hold", "broken", "suspect"] as const;

const COPY_STANDING = {
  fn: "copy_standing",
  parameters: SCOPE,
  columns: STANDING,
  writes: false,
} as const satisfies Operation;

const COPIED_SCOPES = {
  fn: "copied_scopes",
  parameters: { ...SCOPE, limit: "integer" },
  columns: [...STANDING, "namespace", "scope"],
  writes: false,
} as const satisfies Operation;

const COPY_DIGESTS = {
  fn: "copy_digests",
  parameters: SCOPE,
  columns: ["id", "version", "step", "phase", "digest", "verified"],
  writes: false,
} as const satisfies Operation;

const COPIED_CHANGE = {
  fn: "copied_change",
  parameters: { namespace: "text", id: "text", version: "bigint" },
  columns: [
    "scope",
    "step",
    "position",
    "type",
    "at",
    "kind",
    "stored",
    "digest",
    "phase",
    "actor",
    "cause",
    "body",
  ],
  writes: false,
} as const satisfies Operation;

const DISCARD_COPY = {
  fn: "discard_copy",
  parameters: { ...SCOPE, reason: "text" },
  columns: ["discard_copy"],
  writes: true,
} as const satisfies Operation;

const COPY_STATUS = {
  fn: "copy_status",
  parameters: {},
  columns: [
    "lineage",
    "xid",
    "scope_no",
    "step",
    "position",
    "scopes",
    "held",
    "broken",
    "suspect",
    "settled_at",
    "walking",
    "holder",
    "epoch",
    "led",
  ],
  writes: false,
} as const satisfies Operation;

/** A copy as a rollback restores it; null: there is none. */
export async function readCopiedScope(
  reader: Caller,
  namespace: string,
  scope: string,
): Promise<ScopeCopy | null> {
  const rows = await reader.call(COPIED_SCOPE, { namespace, scope });
  const [first] = rows;
  if (first === undefined) return null;
  return {
    promotedStep: bigint(first, 0),
    pendingStep: bigint(first, 1),
    broken: first[2] ?? null,
    states: rows
      .filter((row) => row[3] !== null)
      .map((row) => ({
        id: text(row, 3),
        version: bigint(row, 4),
        phase: row[5] ?? null,
        digest: digest(row, 6),
        text: text(row, 7),
        verified: boolean(row, 8),
      })),
  };
}

/** Where a copy stands; null: there is none. */
export async function readStanding(reader: Caller, key: ScopeName): Promise<CopyStanding | null> {
  const { namespace, scope } = key;
  const [row] = await reader.call(COPY_STANDING, { namespace, scope });
  return row === undefined ? null : standingOf(row, { namespace, scope });
}

/** The next copies after one. */
export async function readStandings(
  reader: Caller,
  after: ScopeName | null,
  limit: number,
): Promise<CopyStanding[]> {
  const { namespace = null, scope = null } = after ?? {};
  const rows = await reader.call(COPIED_SCOPES, { namespace, scope, limit });
  return rows.map((row) => standingOf(row, { namespace: text(row, 5), scope: text(row, 6) }));
}

function standingOf(row: Row, name: ScopeName): CopyStanding {
  return {
    ...name,
    promotedStep: bigint(row, 0),
    pendingStep: bigint(row, 1),
    hold: boolean(row, 2),
    broken: row[3] ?? null,
    isSuspect: boolean(row, 4),
  };
}

/** Every change that a copy holds. */
export async function readDigests(reader: Caller, key: ScopeName): Promise<CopiedDigest[]> {
  const { namespace, scope } = key;
  const rows = await reader.call(COPY_DIGESTS, { namespace, scope });
  return rows.map((row) => ({
    id: text(row, 0),
    version: bigint(row, 1),
    step: bigint(row, 2),
    phase: row[3] ?? null,
    digest: digest(row, 4),
    verified: boolean(row, 5),
  }));
}

/** One change as it was committed; null where the copy does not have it, or cannot prove it. */
export async function readCopiedChange(
  reader: Caller,
  { namespace, id, version }: StateKey & { readonly version: Version },
): Promise<LoggedChange | null> {
  const [row] = await reader.call(COPIED_CHANGE, { namespace, id, version });
  if (row === undefined) return null;
  const [scope, step, position, type, at, kind, stored, hex, ...rest] = row;
  const hash = digest([hex ?? null], 0);
  const columns = [namespace, scope, step, position, id, type, version.toString(), at];
  return loggedChange([...columns, kind, stored, hash, ...rest] as Row, 0);
}

/** Drops what a copy holds; whether there was one. */
export async function discardCopy(
  caller: Caller,
  { namespace, scope }: ScopeName,
  reason: string,
): Promise<boolean> {
  const [row] = await caller.call(DISCARD_COPY, { namespace, scope, reason });
  return boolean(row!, 0);
}

/** All copies together. */
export async function readStatus(reader: Caller): Promise<RollbackStatus> {
  const [row] = await reader.call(COPY_STATUS, {});
  return {
    followedTo: followedTo(row!, 0),
    scopes: Number(row![5]),
    held: Number(row![6]),
    broken: Number(row![7]),
    suspect: Number(row![8]),
    settledAt: optional(row!, 9, date),
    walking: boolean(row!, 10),
    holder: row![11] ?? null,
    epoch: bigint(row!, 12),
    led: boolean(row!, 13),
  };
}
