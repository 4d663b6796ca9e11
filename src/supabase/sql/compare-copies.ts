import type {
  CopyDigest,
  FeedCheck,
  MainDigest,
  ScopeHead,
  ScopeKey,
} from "../../state/fsck-ports.ts";
import type { FeedPosition, StateKey } from "../../state/ports.ts";
import type { Version } from "../../state/state.ts";
import type { Caller, Operation } from "../caller.ts";
import { bigint, boolean, digest, optional, text } from "../rows.ts";

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

const SCOPE_HEADS = {
  fn: "scope_heads",
  parameters: { namespace: "text[]", scope: "text[]" },
  columns: ["step", "age_ms", "hold", "quarantined"],
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
  const digests = rows.map((row) => ({
    namespace: text(row, 1),
    scope: text(row, 2),
    id: text(row, 3),
    version: bigint(row, 4),
    step: bigint(row, 5),
    phase: row[6] ?? null,
    digest: digest(row, 7),
  }));
  return { next: rows.length < limit ? null : bigint(rows.at(-1)!, 0), digests };
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
  return rows.map((row) => ({
    step: optional(row, 0, bigint),
    ageMs: Number(row[1] ?? 0),
    hold: boolean(row, 2),
    quarantined: [...text(row, 3).matchAll(/\d+/g)].map(([step]) => BigInt(step)),
  }));
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
