import { diffJson } from "../state/diff.ts";
import type { ChangeFeed, FeedRow } from "../state/ports.ts";
import type { RelayStore, RollbackRecord } from "../state/relay-port.ts";
import type { RolledBack, StateTakenBack } from "../state/rolled-back-event.ts";

/** States whose diffs travel with the event; of more, consumers ask. */
const MAX_DIFFS = 100;

/** Whether a row is the first one of a step that went back. */
export function beginsRollback({ kind, at }: FeedRow): boolean {
  return kind === "rollback" && at.position === 0;
}

/** What the step did that this row begins; null where that is not kept any more. */
export async function readRolledBack(
  store: {
    readonly relay: Pick<RelayStore, "rollback">;
    readonly feed: Pick<ChangeFeed, "document">;
  },
  { namespace, scope, step }: FeedRow,
): Promise<RolledBack | null> {
  const record = await store.relay.rollback({ namespace, scope }, step);
  if (record === null) return null;
  const { states, ...rest } = record;
  const withDiffs = states.length <= MAX_DIFFS;
  const taken: StateTakenBack[] = [];
  for (const state of states) taken.push(await takenBack(store.feed, state, withDiffs));
  return { namespace, scope, ...rest, stateCount: states.length, states: taken };
}

async function takenBack(
  feed: Pick<ChangeFeed, "document">,
  { stateNo, ...state }: RollbackRecord["states"][number],
  withDiff: boolean,
): Promise<StateTakenBack> {
  const { newVersion } = state;
  const version = newVersion - 1n;
  const bare = { ...state, version };
  if (!withDiff) return bare;
  const [before = null, after = null] = [
    await feed.document(stateNo, version),
    await feed.document(stateNo, newVersion),
  ];
  return { ...bare, diff: diffJson(before, after) };
}
