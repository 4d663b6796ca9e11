import type {
  CopyDigest,
  Fault,
  FsckStore,
  MainDigest,
  MemoryCopy,
  ReplicaCopy,
  RollbackCopy,
} from "../state/fsck-ports.ts";
import type { CheckName } from "../state/fsck.ts";
import type { ScopeKey } from "../state/ports.ts";

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
export function compareMemory(
  store: FsckStore,
  memory: MemoryCopy,
  of: { readonly limit: number; readonly scope?: ScopeKey },
): Promise<Fault[]> {
  return compare(store, "C7", memory.sample(of.limit, of.scope));
}

/** What copies hold that main does not hold so, at the same versions. */
export async function compare(
  store: FsckStore,
  check: CheckName,
  digests: readonly CopyDigest[],
): Promise<Fault[]> {
  const faults: Fault[] = [];
  for (let from = 0; from < digests.length; from += PAGE) {
    const page = digests.slice(from, from + PAGE);
    const main = await store.digestsAt(page);
    page.forEach((copied, index) => {
      const difference = differs(copied, main[index]!, check === "C7");
      if (difference === null) return;
      const fault = faultOf(check, copied, { ...difference, step: copied.step, copied });
      faults.push({ ...fault, id: copied.id, version: copied.version });
    });
  }
  return faults;
}

interface Difference {
  readonly detail: string;
  /** The copy proves what it holds, and main holds something else: one of them was made up. */
  readonly hold?: true;
}

/**
 * A version that main no longer keeps cannot be compared. A digest covers the phase, but memory may have
 * read a row in which only that was forged.
 */
function differs(copied: CopyDigest, main: MainDigest, withPhase: boolean): Difference | null {
  const { version, verified } = copied;
  const detail =
    main.newest === null
      ? `it holds version ${version}, and main has no such state`
      : version > main.newest
        ? `it holds version ${version}, and main's newest is ${main.newest}`
        : main.digest !== null && copied.digest !== main.digest
          ? `its digest of version ${version} is not main's`
          : null;
  if (detail !== null) return verified === true ? { detail, hold: true } : { detail };
  if (verified === false) return { detail: `what it holds of version ${version} proves nothing` };
  if (main.digest === null || !withPhase) return null;
  if (copied.phase === main.phase && copied.step === main.step) return null;
  return { detail: `its phase or step at version ${version} is not main's` };
}

/** A fault of a copy. */
export function faultOf(
  check: CheckName,
  of: ScopeKey | null,
  found: Pick<Fault, "step" | "detail" | "hold"> & { readonly copied: object },
): Fault {
  const { step, detail, hold, copied } = found;
  return {
    check,
    namespace: of?.namespace ?? null,
    scope: of?.scope ?? null,
    id: null,
    version: null,
    step,
    detail,
    evidence: JSON.stringify({ copy: copied }, (_, value: unknown) =>
      typeof value === "bigint" ? value.toString() : value,
    ),
    ...(hold === undefined ? {} : { hold }),
  };
}
