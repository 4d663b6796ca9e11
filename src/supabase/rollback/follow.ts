import type {
  CopyNeed,
  CopyPage,
  FollowedPage,
  FollowedTo,
  FollowerLease,
  Gate,
  ScopeName,
  WalkPosition,
} from "../../state/rollback-port.ts";
import type { Caller, Operation } from "../caller.ts";
import { bigint, boolean, optional, text } from "../rows.ts";
import type { Row } from "../rows.ts";
import { beforeValues, CHANGE_PARAMETERS, changeValues } from "./logged-change.ts";

const TAKE_LEASE = {
  fn: "take_lease",
  parameters: { holder: "text", ttl_ms: "integer" },
  columns: ["mine", "epoch", "lineage", "xid", "scope_no", "step", "position", "walk"],
  writes: true,
} as const satisfies Operation;

const RELEASE_LEASE = {
  fn: "release_lease",
  parameters: { epoch: "bigint" },
  columns: ["release_lease"],
  writes: true,
} as const satisfies Operation;

const BEGIN_FOLLOWING = {
  fn: "begin_following",
  parameters: {
    epoch: "bigint",
    lineage: "text",
    xid: "bigint",
    scope_no: "bigint",
    step: "bigint",
    position: "integer",
  },
  columns: ["begin_following"],
  writes: true,
} as const satisfies Operation;

const NEEDS = ["namespace", "scope", "need", "why", "id", "version"] as const;

const FOLLOW = {
  fn: "follow",
  parameters: {
    epoch: "bigint",
    ...CHANGE_PARAMETERS,
    gate_namespace: "text[]",
    gate_scope: "text[]",
    gate_hold: "text[]",
    gate_quarantined: "text[]",
    gate_skipped: "text[]",
    moment: "bigint",
    lineage: "text",
    xid: "bigint",
    scope_no: "bigint",
    feed_step: "bigint",
    feed_position: "integer",
    settled_at: "text",
  },
  columns: NEEDS,
  writes: true,
} as const satisfies Operation;

const FILL_COPIES = {
  fn: "fill_copies",
  parameters: {
    epoch: "bigint",
    ...CHANGE_PARAMETERS,
    before: "text[]",
    part_namespace: "text[]",
    part_scope: "text[]",
    part_head: "bigint[]",
    part_promoted: "bigint[]",
    part_hold: "text[]",
    part_quarantined: "text[]",
    part_whole: "text[]",
    moment: "bigint",
    walk: "text",
  },
  columns: NEEDS,
  writes: true,
} as const satisfies Operation;

const COPIES_TO_REBUILD = {
  fn: "copies_to_rebuild",
  parameters: { limit: "integer" },
  columns: ["namespace", "scope"],
  writes: false,
} as const satisfies Operation;

/** Takes or renews the lease, where nobody else holds it. */
export async function takeLease(
  caller: Caller,
  holder: string,
  ttlMs: number,
): Promise<FollowerLease> {
  const [row] = await caller.call(TAKE_LEASE, { holder, ttl_ms: ttlMs });
  return {
    mine: boolean(row!, 0),
    epoch: bigint(row!, 1),
    followedTo: followedTo(row!, 2),
    walk: optional(row!, 7, walkOf),
  };
}

/** Gives it back. */
export async function releaseLease(caller: Caller, epoch: bigint): Promise<void> {
  await caller.call(RELEASE_LEASE, { epoch });
}

/** Begins with a main; null where the lease is lost. */
export async function beginFollowing(
  caller: Caller,
  epoch: bigint,
  { lineage, position: at }: FollowedTo,
): Promise<true | null> {
  const { xid, scopeNo, step, position } = at;
  const values = { epoch, lineage, xid, scope_no: scopeNo, step, position };
  const [row] = await caller.call(BEGIN_FOLLOWING, values);
  return boolean(row!, 0) ? true : null;
}

/** Takes a page of the feed; null where the lease is lost. */
export async function follow(
  caller: Caller,
  epoch: bigint,
  page: FollowedPage,
): Promise<readonly CopyNeed[] | null> {
  const { changes, gates, moment, settledAt } = page;
  const at = page.followedTo?.position;
  const rows = await caller.call(FOLLOW, {
    epoch,
    ...changeValues(changes),
    ...gateValues(gates),
    moment,
    lineage: page.followedTo?.lineage ?? null,
    xid: at?.xid ?? null,
    scope_no: at?.scopeNo ?? null,
    feed_step: at?.step ?? null,
    feed_position: at?.position ?? 0,
    settled_at: settledAt,
  });
  return needsOf(rows);
}

/** Fills copies; null where the lease is lost. */
export async function fillCopies(
  caller: Caller,
  epoch: bigint,
  page: Omit<CopyPage, "next"> & { readonly walk: WalkPosition | "done" | null },
): Promise<readonly CopyNeed[] | null> {
  const { parts, changes, moment, walk } = page;
  const rows = await caller.call(FILL_COPIES, {
    epoch,
    ...changeValues(changes),
    before: beforeValues(changes),
    part_namespace: parts.map(({ namespace }) => namespace),
    part_scope: parts.map(({ scope }) => scope),
    part_head: parts.map(({ head }) => head),
    part_promoted: parts.map(({ promoted }) => promoted),
    part_hold: parts.map(({ hold }) => flag(hold)),
    part_quarantined: parts.map(({ quarantined }) => quarantined),
    part_whole: parts.map(({ whole }) => flag(whole)),
    moment,
    walk: walk === null || walk === "done" ? walk : walkText(walk),
  });
  return needsOf(rows);
}

/** Copies that are to be made anew. */
export async function copiesToRebuild(caller: Caller, limit: number): Promise<ScopeName[]> {
  const rows = await caller.call(COPIES_TO_REBUILD, { limit });
  return rows.map((row) => ({ namespace: text(row, 0), scope: text(row, 1) }));
}

function gateValues(
  gates: readonly Gate[],
): Record<
  "gate_namespace" | "gate_scope" | "gate_hold" | "gate_quarantined" | "gate_skipped",
  string[]
> {
  return {
    gate_namespace: gates.map(({ namespace }) => namespace),
    gate_scope: gates.map(({ scope }) => scope),
    gate_hold: gates.map(({ hold }) => flag(hold)),
    gate_quarantined: gates.map(({ quarantined }) => quarantined),
    gate_skipped: gates.map(({ skipped }) => flag(skipped)),
  };
}

function needsOf(rows: readonly Row[]): CopyNeed[] | null {
  if (rows[0]?.[2] === "lease") return null;
  return rows.map((row) => ({
    namespace: text(row, 0),
    scope: text(row, 1),
    need: text(row, 2) as CopyNeed["need"],
    why: text(row, 3),
    id: row[4] ?? null,
    version: optional(row, 5, bigint),
  }));
}

/** Lineage, xid, scope, step and position, from a column on; null where there is no lineage. */
export function followedTo(row: Row, from: number): FollowedTo | null {
  const lineage = row[from];
  if (lineage === null || lineage === undefined) return null;
  return {
    lineage,
    position: {
      xid: bigint(row, from + 1),
      scopeNo: bigint(row, from + 2),
      step: bigint(row, from + 3),
      position: Number(row[from + 4]),
    },
  };
}

/** What `walk` is stored as; `{}`: nothing was walked yet. */
interface WalkJson {
  readonly scopeNo?: string;
  readonly id?: string;
  readonly version?: string;
  readonly head?: string;
  readonly promoted?: string;
}

function walkText({ scopeNo, within }: WalkPosition): string {
  const walk: WalkJson = {
    scopeNo: scopeNo.toString(),
    ...(within === null
      ? {}
      : {
          id: within.id,
          version: within.version.toString(),
          head: within.head.toString(),
          promoted: within.promoted.toString(),
        }),
  };
  return JSON.stringify(walk);
}

function walkOf(row: Row, column: number): WalkPosition {
  const { scopeNo = "0", id, version, head, promoted } = JSON.parse(text(row, column)) as WalkJson;
  if (id === undefined) return { scopeNo: BigInt(scopeNo), within: null };
  return {
    scopeNo: BigInt(scopeNo),
    within: {
      id,
      version: BigInt(version!),
      head: BigInt(head!),
      promoted: BigInt(promoted!),
    },
  };
}

function flag(value: boolean): string {
  return value ? "t" : "f";
}
