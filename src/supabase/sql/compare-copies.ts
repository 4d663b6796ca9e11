import type {
  CopyDigest,
  FeedCheck,
  MainDigest,
  ScopeHead,
  StateVersion,
} from "../../state/fsck-ports.ts";
import type { FeedPosition, ScopeKey, StateKey } from "../../state/ports.ts";
import type { Step, Version } from "../../state/state.ts";
import type { Caller, Operation } from "../caller.ts";
import { bigint, boolean, digest, optional, text } from "../rows.ts";
import type { Row } from "../rows.ts";

const STATE_DIGESTS = {
  fn: "state_digests",
  parameters: { after: "bigint", limit: "integer" },
  columns: ["state_no", "namespace", "scope", "id", "version", "step", "phase", "digest"],
  writes: false,
} as const satisfies Operation;

const DIGESTS_AT = {
  fn: "digests_at",
  parameters: { namespace: "text[]", id: "text[]", version: "bigint[]" },
  columns: ["newest", "step", "phase", "digest"],
  writes: false,
} as const satisfies Operation;

const DIGESTS_OF = {
  fn: "digests_of",
  parameters: { state_no: "bigint[]" },
  columns: STATE_DIGESTS.columns,
  writes: false,
} as const satisfies Operation;

const HEAD = ["step", "good_step", "age_ms", "hold", "quarantined"] as const;

const SCOPES_AFTER = {
  fn: "scopes_after",
  parameters: { namespace: "text", scope: "text", limit: "integer" },
  columns: [...HEAD, "namespace", "scope"],
  writes: false,
} as const satisfies Operation;

const SCOPE_HEADS = {
  fn: "scope_heads",
  parameters: { namespace: "text[]", scope: "text[]" },
  columns: HEAD,
  writes: false,
} as const satisfies Operation;

const SCOPE_VERSIONS = {
  fn: "scope_versions",
  parameters: { namespace: "text", scope: "text", step: "bigint" },
  columns: ["id", "version"],
  writes: false,
} as const satisfies Operation;

const CHECK_FEED = {
  fn: "check_feed",
  parameters: { xid: "bigint", scope_no: "bigint", step: "bigint", position: "integer" },
  columns: ["lineage", "ahead", "pruned", "age_ms"],
  writes: false,
} as const satisfies Operation;

/** One page of states by main's numbers, from main or from a replica of it. */
export async function stateDigests(
  reader: Caller,
  after: bigint,
  limit: number,
): Promise<{ readonly next: bigint | null; readonly digests: readonly CopyDigest[] }> {
  const rows = await reader.call(STATE_DIGESTS, { after, limit });
  return {
    next: rows.length < limit ? null : bigint(rows.at(-1)!, 0),
    digests: rows.map(copyDigest),
  };
}

/** The same of some states alone. */
export async function digestsOf(
  reader: Caller,
  stateNos: readonly bigint[],
): Promise<CopyDigest[]> {
  return (await reader.call(DIGESTS_OF, { state_no: stateNos })).map(copyDigest);
}

function copyDigest(row: Row): CopyDigest {
  return {
    namespace: text(row, 1),
    scope: text(row, 2),
    id: text(row, 3),
    version: bigint(row, 4),
    step: bigint(row, 5),
    phase: row[6] ?? null,
    digest: digest(row, 7),
  };
}

/** What main holds of some states at some versions, in their order. */
export async function digestsAt(
  reader: Caller,
  of: readonly (StateKey & { readonly version: Version })[],
): Promise<MainDigest[]> {
  const rows = await reader.call(DIGESTS_AT, {
    namespace: of.map(({ namespace }) => namespace),
    id: of.map(({ id }) => id),
    version: of.map(({ version }) => version),
  });
  return rows.map((row) => ({
    newest: optional(row, 0, bigint),
    step: optional(row, 1, bigint),
    phase: row[2] ?? null,
    digest: optional(row, 3, digest),
  }));
}

/** Where some scopes stand, in their order. */
export async function scopeHeads(
  reader: Caller,
  scopes: readonly ScopeKey[],
): Promise<ScopeHead[]> {
  const rows = await reader.call(SCOPE_HEADS, {
    namespace: scopes.map(({ namespace }) => namespace),
    scope: scopes.map(({ scope }) => scope),
  });
  return rows.map(scopeHead);
}

/** Where the scopes after one stand, by namespace and scope. */
export async function scopesAfter(
  reader: Caller,
  after: ScopeKey | null,
  limit: number,
): Promise<(ScopeKey & ScopeHead)[]> {
  const { namespace = null, scope = null } = after ?? {};
  const rows = await reader.call(SCOPES_AFTER, { namespace, scope, limit });
  return rows.map((row) => ({ namespace: text(row, 5), scope: text(row, 6), ...scopeHead(row) }));
}

/** The states of a scope, each with its newest version at or before a step. */
export async function scopeVersions(
  reader: Caller,
  { namespace, scope }: ScopeKey,
  step: Step,
): Promise<StateVersion[]> {
  const rows = await reader.call(SCOPE_VERSIONS, { namespace, scope, step });
  return rows.map((row) => ({ id: text(row, 0), version: bigint(row, 1) }));
}

function scopeHead(row: Row): ScopeHead {
  return {
    step: optional(row, 0, bigint),
    goodStep: optional(row, 1, bigint) ?? 0n,
    ageMs: Number(row[2] ?? 0),
    hold: boolean(row, 3),
    quarantined: [...text(row, 4).matchAll(/\d+/g)].map(([step]) => BigInt(step)),
  };
}

/** How a position stands to the feed. */
export async function checkFeed(reader: Caller, at: FeedPosition): Promise<FeedCheck> {
  const { xid, scopeNo, step, position } = at;
  const [row] = await reader.call(CHECK_FEED, { xid, scope_no: scopeNo, step, position });
  return {
    lineage: text(row!, 0),
    isAhead: boolean(row!, 1),
    isPruned: boolean(row!, 2),
    ageMs: Number(row![3]),
  };
}
