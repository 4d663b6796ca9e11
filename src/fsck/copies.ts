import type {
  CopiedScope,
  CopyDigest,
  Fault,
  FsckStore,
  MainDigest,
  MemoryCopy,
  ReplicaCopy,
  RollbackCopy,
  ScopeHead,
  ScopeKey,
} from "../state/fsck-ports.ts";
import type { CheckName } from "../state/fsck.ts";

/** Digests that one call compares. */
const PAGE = 2_000;

/** The copies of main that this process knows; null: there is none. */
export interface Copies {
  readonly replica: ReplicaCopy | null;
  readonly rollback: RollbackCopy | null;
  readonly memory: MemoryCopy;
}

/** One part of a larger look at a copy. */
export interface ComparedPage<Position> {
  /** Null: at the end. */
  readonly next: Position | null;
  readonly faults: readonly Fault[];
}

/** C5: a page of the replica's states, each with what main holds at the same version. */
export async function compareReplica(
  store: FsckStore,
  replica: ReplicaCopy,
  page: { readonly after: bigint; readonly limit: number },
): Promise<ComparedPage<bigint>> {
  // The copy is read first: main can only have gone on since, and keeps what it was.
  const { next, digests } = await replica.digests(page.after, page.limit);
  return { next, faults: await compare(store, "C5", digests) };
}

/** C7: some of the states in this process's memory, or all of a scope's. */
export async function compareMemory(
  store: FsckStore,
  memory: MemoryCopy,
  of: { readonly limit: number; readonly scope?: ScopeKey },
): Promise<Fault[]> {
  const cached = memory.sample(of.limit, of.scope);
  const faults: Fault[] = [];
  for (let from = 0; from < cached.length; from += PAGE) {
    faults.push(...(await compare(store, "C7", cached.slice(from, from + PAGE))));
  }
  return faults;
}

/** C6: a page of the rollback database's scopes, with each change that it holds of them. */
export async function compareRollback(
  store: FsckStore,
  rollback: RollbackCopy,
  page: { readonly after: ScopeKey | null; readonly limit: number; readonly boundMs: number },
): Promise<ComparedPage<ScopeKey>> {
  const scopes = await rollback.scopes(page.after, page.limit);
  const faults: Fault[] = [];
  for (const copied of scopes.filter(({ broken }) => broken === null)) {
    faults.push(...(await compareScope(store, rollback, { copied, boundMs: page.boundMs })));
  }
  return { next: scopes.length < page.limit ? null : scopes.at(-1)!, faults };
}

/** C6 for one scope. */
export async function compareScope(
  store: FsckStore,
  rollback: RollbackCopy,
  of: { readonly copied: CopiedScope; readonly boundMs: number },
): Promise<Fault[]> {
  const { copied, boundMs } = of;
  const digests = await rollback.digests(copied);
  const [head] = await store.scopeHeads([copied]);
  const wrong = misplaced(copied, head!, boundMs);
  const faults = await compare(store, "C6", digests);
  if (wrong === null) return faults;
  return [faultOf("C6", copied, { step: copied.promotedStep, detail: wrong, copied }), ...faults];
}

/** C15: the follower of the rollback database. */
export async function compareFollower(
  store: FsckStore,
  rollback: RollbackCopy,
  boundMs: number,
): Promise<Fault[]> {
  const follower = await rollback.follower();
  if (follower === null) return [];
  const feed = await store.checkFeed(follower.at);
  const detail =
    feed.lineage !== follower.lineage
      ? "the rollback database follows another history than main's"
      : feed.isAhead
        ? "the rollback database is ahead of main's feed"
        : feed.isPruned
          ? "changes were pruned before the rollback database had them"
          : feed.ageMs > boundMs
            ? `the rollback database is more than ${boundMs} ms behind`
            : null;
  return detail === null ? [] : [faultOf("C15", null, { step: null, detail, copied: follower })];
}

function misplaced(copied: CopiedScope, head: ScopeHead, boundMs: number): string | null {
  const { promotedStep, pendingStep } = copied;
  const step = head.step ?? 0n;
  if (pendingStep > step) return `it has step ${pendingStep}, and HEAD is ${step}`;
  if (promotedStep >= step && promotedStep > 0n) {
    return `it promoted step ${promotedStep}, and HEAD is ${step}`;
  }
  // A moment is allowed: the follower learns of quarantine and of new steps after main does.
  if (head.ageMs <= boundMs) return null;
  if (head.quarantined.includes(promotedStep)) {
    return `it promoted step ${promotedStep}, which is in quarantine`;
  }
  return pendingStep < step ? `it stands at step ${pendingStep}, and HEAD is ${step}` : null;
}

async function compare(
  store: FsckStore,
  check: CheckName,
  digests: readonly CopyDigest[],
): Promise<Fault[]> {
  if (digests.length === 0) return [];
  const main = await store.digestsAt(digests);
  return digests.flatMap((copied, index) => {
    const detail = differs(copied, main[index]!, check === "C7");
    return detail === null ? [] : [faultOf(check, copied, { ...copied, detail, copied })];
  });
}

/**
 * A version that main no longer keeps cannot be compared. A digest covers the phase, but memory may have
 * read a row in which only that was forged.
 */
function differs(copied: CopyDigest, main: MainDigest, withPhase: boolean): string | null {
  if (main.newest === null) return `it holds version ${copied.version}, and main has no such state`;
  if (copied.version > main.newest) {
    return `it holds version ${copied.version}, and main's newest is ${main.newest}`;
  }
  if (main.digest === null) return null;
  if (copied.digest !== main.digest) {
    return `its digest of version ${copied.version} is not main's`;
  }
  if (withPhase && (copied.phase !== main.phase || copied.step !== main.step)) {
    return `its phase or step at version ${copied.version} is not main's`;
  }
  return null;
}

function faultOf(
  check: CheckName,
  of: (ScopeKey & Partial<CopyDigest>) | null,
  found: { readonly step: bigint | null; readonly detail: string; readonly copied: object },
): Fault {
  return {
    check,
    namespace: of?.namespace ?? null,
    scope: of?.scope ?? null,
    id: of?.id ?? null,
    version: of?.version ?? null,
    step: found.step,
    detail: found.detail,
    evidence: JSON.stringify({ copy: found.copied }, (_, value: unknown) =>
      typeof value === "bigint" ? value.toString() : value,
    ),
  };
}
