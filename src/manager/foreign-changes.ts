import { Loop } from "../service/loop.ts";
import type { Logger } from "../service/log-port.ts";
import type { FeedPosition, StateStore } from "../state/ports.ts";
import type { Reader } from "./reader.ts";
import type { StateCache } from "./state-cache.ts";

const PAGE = 2_000;

/** Takes what other processes change out of this one's cache, at most `pollMs` after they committed. */
export function followForeignChanges(options: {
  readonly store: Pick<StateStore, "feed">;
  readonly cache: StateCache;
  readonly reader: Reader;
  readonly pollMs: number;
  readonly log: Logger;
}): Loop {
  const { store, cache, reader } = options;
  let position: FeedPosition | undefined;
  return new Loop({
    name: "foreign changes",
    pauseMs: options.pollMs,
    log: options.log,
    runOnce: async () => {
      if (position === undefined) {
        position = (await store.feed.bounds()).head;
        return false;
      }
      const { changed, complete, next } = await store.feed.foreign(position, PAGE);
      position = next;
      if (!complete) {
        cache.clear();
        reader.outdateAll();
        return true;
      }
      for (const { version, ...key } of changed) {
        cache.outdate(key, version);
        reader.outdate(key);
      }
      return false;
    },
  });
}
