import { Loop } from "../service/loop.ts";
import type { Logger } from "../service/log-port.ts";
import type { FeedPosition, StateStore } from "../state/ports.ts";
import type { Reader } from "./reader.ts";
import type { SharedFreshness } from "./shared-freshness.ts";
import type { StateCache } from "./state-cache.ts";
import { nameOf } from "./state-name.ts";

const PAGE = 2_000;

/** How far back a first look goes, in transactions and in changes, so that entries from before can be judged. */
const LOOK_BACK = 100_000;
const LOOK_BACK_PAGE = 20_000;

export interface ForeignOptions {
  readonly store: Pick<StateStore, "feed">;
  readonly cache: StateCache;
  readonly reader: Reader;
  /** Null: no cache is shared with others. */
  readonly freshness: SharedFreshness | null;
  readonly pollMs: number;
  readonly log: Logger;
}

/** Takes what other processes change out of this one's cache, at most `pollMs` after they committed. */
export function followForeignChanges(options: ForeignOptions): Loop {
  let position: FeedPosition | undefined;
  return new Loop({
    name: "foreign changes",
    pauseMs: options.pollMs,
    log: options.log,
    runOnce: async () => {
      if (position === undefined) {
        position = await firstPosition(options);
        return false;
      }
      const { next, isGap } = await look(options, position);
      position = next;
      return isGap;
    },
  });
}

async function firstPosition({ store, freshness }: ForeignOptions): Promise<FeedPosition> {
  const { head } = await store.feed.bounds();
  if (freshness === null) return head;
  const since = head.xid > LOOK_BACK ? head.xid - BigInt(LOOK_BACK) : 0n;
  const from = { xid: since, scopeNo: 0n, step: 0n, position: 0 };
  freshness.beginLook();
  const { changed, complete, next, moment } = await store.feed.foreign(from, LOOK_BACK_PAGE);
  for (const { namespace, id } of changed) freshness.tell(nameOf(namespace, id));
  freshness.endLook(moment, complete ? Number(since) : moment.next);
  return next;
}

async function look(
  { store, cache, reader, freshness }: ForeignOptions,
  after: FeedPosition,
): Promise<{ readonly next: FeedPosition; readonly isGap: boolean }> {
  freshness?.beginLook();
  const { changed, complete, next, moment } = await store.feed.foreign(after, PAGE);
  if (!complete) {
    cache.clear();
    reader.outdateAll();
    freshness?.endLook(moment, moment.next);
    return { next, isGap: true };
  }
  for (const { version, ...key } of changed) {
    cache.outdate(key, version);
    reader.outdate(key);
    freshness?.tell(nameOf(key.namespace, key.id));
  }
  freshness?.endLook(moment);
  return { next, isGap: false };
}
