import { AgentRuntimeError } from "../state/errors.ts";
import type { CopyDigest, Fault, FsckStore, RollbackCopy, ScopeHead } from "../state/fsck-ports.ts";
import type { ScopeKey } from "../state/ports.ts";
import type { CopyStanding } from "../state/rollback-port.ts";
import { compare, faultOf } from "./copies.ts";
import type { ComparedPage } from "./copies.ts";

/** What a look at the rollback database stands on. */
export interface RollbackLook {
  readonly store: FsckStore;
  readonly rollback: RollbackCopy;
  /** Milliseconds that it may be behind. */
  readonly boundMs: number;
}

/** How its follower stands to main's feed. */
interface FollowedFeed {
  /** Why no copy can be judged; null: they can. */
  readonly unfit: string | null;
  /** What is wrong with the follower; null: nothing. */
  readonly wrong: string | null;
  readonly isBehind: boolean;
}

/** C15: the follower of the rollback database. */
export async function compareFollower(look: RollbackLook): Promise<Fault[]> {
  const { wrong } = await followedFeed(look);
  if (wrong === null) return [];
  return [faultOf("C15", null, { step: null, detail: wrong, copied: {} })];
}

/** C6: a page of scopes, each with what main and its copy hold of it. */
export async function compareRollback(
  look: RollbackLook,
  page: { readonly after: ScopeKey | null; readonly limit: number },
): Promise<ComparedPage<ScopeKey>> {
  const feed = await fitFeed(look);
  const { after, limit } = page;
  // The copies are read first: main can only have gone on since, and keeps what it was.
  const copies = await look.rollback.standings(after, limit);
  const scopes = await look.store.scopesAfter(after, limit);
  const ends = [copies, scopes].flatMap((all) => (all.length < limit ? [] : [all.at(-1)!]));
  const next = ends.toSorted(byName)[0] ?? null;
  const here = ({ namespace, scope }: ScopeKey): boolean =>
    next === null || byName({ namespace, scope }, next) <= 0;
  const heads = new Map(scopes.filter(here).map((head) => [nameOf(head), head]));
  const faults: Fault[] = [];
  for (const copied of copies.filter(here)) {
    const head = heads.get(nameOf(copied)) ?? NO_HEAD;
    heads.delete(nameOf(copied));
    faults.push(...(await compareCopy(look, { copied, head, ...feed })));
  }
  for (const head of heads.values()) faults.push(...missing(look, { ...head, ...feed }));
  return { next, faults };
}

/** C6 for one scope. */
export async function compareScope(look: RollbackLook, scope: ScopeKey): Promise<Fault[]> {
  const feed = await fitFeed(look);
  const copied = await look.rollback.standing(scope);
  const [head] = await look.store.scopeHeads([scope]);
  if (copied !== null) return compareCopy(look, { copied, head: head!, ...feed });
  return missing(look, { ...scope, ...head!, ...feed });
}

/** Whether a copy proves something that main does not hold so. */
export async function contradictsMain(look: RollbackLook, scope: ScopeKey): Promise<boolean> {
  return (await compareScope(look, scope)).some(({ hold }) => hold === true);
}

const NO_HEAD: ScopeHead = { step: null, goodStep: 0n, ageMs: 0, hold: false, quarantined: [] };

/** @throws {AgentRuntimeError} PRECONDITION_FAILED: what the copies are to be now cannot be told. */
async function fitFeed(look: RollbackLook): Promise<FollowedFeed> {
  const feed = await followedFeed(look);
  if (feed.unfit === null) return feed;
  throw new AgentRuntimeError("PRECONDITION_FAILED", feed.unfit);
}

async function followedFeed({ store, rollback, boundMs }: RollbackLook): Promise<FollowedFeed> {
  const { followedTo, walking } = await rollback.status();
  if (followedTo === null || walking) {
    const unfit = "the rollback database does not hold all scopes yet";
    return { unfit, wrong: null, isBehind: true };
  }
  const feed = await store.checkFeed(followedTo.position);
  if (feed.lineage !== followedTo.lineage) {
    const unfit = "the rollback database follows another history than main's";
    return { unfit, wrong: unfit, isBehind: true };
  }
  const isBehind = feed.ageMs > boundMs;
  const wrong = feed.isAhead
    ? "the rollback database is ahead of main's feed"
    : feed.isPruned && feed.ageMs > 0
      ? "changes were pruned before the rollback database had them"
      : isBehind
        ? `the rollback database is more than ${boundMs} ms behind`
        : null;
  return { unfit: null, wrong, isBehind };
}

async function compareCopy(
  look: RollbackLook,
  of: { readonly copied: CopyStanding; readonly head: ScopeHead; readonly isBehind: boolean },
): Promise<Fault[]> {
  const { copied } = of;
  // It is being made anew: nothing of it is served.
  if (copied.broken !== null && !copied.isSuspect) return [];
  const digests = await look.rollback.digests(copied);
  const held = digests.map((one): CopyDigest => ({ ...copied, ...one }));
  if (of.head.step === null && held.length > 0) return [lost(copied, held)];
  const faults = await compare(look.store, "C6", held);
  if (copied.broken === null) faults.push(...(await lacking(look, copied, held)));
  const wrong = misplaced(look, of);
  if (wrong !== null) {
    const { promotedStep: step } = copied;
    faults.unshift(faultOf("C6", copied, { step, detail: wrong, copied }));
  }
  if (copied.broken === null || faults.length > 0) return faults;
  const { broken: detail, pendingStep: step } = copied;
  return [faultOf("C6", copied, { step, detail: `it is not served: ${detail}`, copied })];
}

/** What a copy does not have of what main had at the step where it stands. */
async function lacking(
  { store, rollback }: RollbackLook,
  copied: CopyStanding,
  held: readonly CopyDigest[],
): Promise<Fault[]> {
  const { pendingStep: step } = copied;
  const newest = new Map(held.map(({ id, version }) => [id, version])); // of each state the last comes last
  const main = await store.scopeVersions(copied, step);
  const missed = main.filter(({ id, version }) => (newest.get(id) ?? 0n) < version);
  if (missed.length === 0) return [];
  // Perhaps it was about to be made anew.
  const now = await rollback.standing(copied);
  if (now === null || now.broken !== null || now.pendingStep < step) return [];
  return missed.map(({ id, version }) => {
    const fault = faultOf("C6", copied, { step, detail: `it lacks version ${version}`, copied });
    return { ...fault, id, version };
  });
}

/** One finding for all of it: should the scope be written to again, what contradicts that is new, and puts it on hold. */
function lost(copied: CopyStanding, held: readonly CopyDigest[]): Fault {
  const { pendingStep: step } = copied;
  const detail = `it has step ${step}, and main does not have the scope`;
  const found = { step, detail, copied };
  const isProven = held.some(({ verified }) => verified === true);
  return faultOf("C6", copied, isProven ? { ...found, hold: true } : found);
}

function misplaced(
  { boundMs }: RollbackLook,
  of: { readonly copied: CopyStanding; readonly head: ScopeHead; readonly isBehind: boolean },
): string | null {
  const { promotedStep, pendingStep } = of.copied;
  const { goodStep, quarantined, ageMs } = of.head;
  const step = of.head.step ?? 0n;
  if (pendingStep > step) return `it has step ${pendingStep}, and HEAD is ${step}`;
  if (promotedStep >= step && promotedStep > 0n) {
    return `it promoted step ${promotedStep}, and HEAD is ${step}`;
  }
  // A moment is allowed, and so is what its follower has not come to: that is C15.
  if (ageMs <= boundMs || of.isBehind) return null;
  if (quarantined.includes(promotedStep)) {
    return `it promoted step ${promotedStep}, which is in quarantine`;
  }
  if (pendingStep < step) return `it stands at step ${pendingStep}, and HEAD is ${step}`;
  if (promotedStep < goodStep && !of.head.hold && of.copied.broken === null) {
    return `it promoted step ${promotedStep}, and the newest good one before HEAD is ${goodStep}`;
  }
  return null;
}

function missing(
  { boundMs }: RollbackLook,
  head: ScopeKey & ScopeHead & { readonly isBehind: boolean },
): Fault[] {
  if (head.step === null || head.isBehind || head.ageMs <= boundMs) return [];
  const { namespace, scope, step } = head;
  const of = { namespace, scope };
  return [faultOf("C6", of, { step, detail: "there is no copy of it", copied: {} })];
}

function nameOf({ namespace, scope }: ScopeKey): string {
  return `${namespace}\u001f${scope}`;
}

/** As the databases sort them: by their bytes. */
function byName(a: ScopeKey, b: ScopeKey): number {
  return (
    Buffer.compare(Buffer.from(a.namespace), Buffer.from(b.namespace)) ||
    Buffer.compare(Buffer.from(a.scope), Buffer.from(b.scope))
  );
}
