import { Loop } from "../service/loop.ts";
import type { Logger } from "../service/log-port.ts";
import { isFull } from "../state/page.ts";
import type { FeedPosition, FeedRow, StateStore } from "../state/ports.ts";
import { comparePositions } from "../state/cursor.ts";

/** Changes read at once. */
const PAGE = 1_000;

export interface ChangeFeedOptions {
  readonly store: Pick<StateStore, "feed">;
  /** How soon changes of other processes are seen. */
  readonly pollMs: number;
  /** Changes, and bytes of them, that are kept for watchers that are nearly up to date. */
  readonly keepChanges: number;
  readonly keepBytes: number;
  readonly log: Logger;
}

/**
 * The newest end of the feed, read once for all watchers of this process.
 *
 * It reads only while somebody watches. A watcher that falls behind what is kept reads pages of its
 * own until it has caught up, so nobody's slowness costs memory or holds others back.
 */
export class FeedTail {
  readonly #options: ChangeFeedOptions;
  #loop: Loop | undefined;
  #watchers = 0;
  /** Everything after `#from` up to the last row is kept, gap-free. */
  #from: FeedPosition | undefined;
  #rows: FeedRow[] = [];
  #bytes = 0;
  #generation = 0;
  readonly #waiting = new Set<() => void>();

  constructor(options: ChangeFeedOptions) {
    this.#options = options;
  }

  get watchers(): number {
    return this.#watchers;
  }

  /** Joins in; the returned function leaves. */
  join(): () => void {
    this.#watchers++;
    if (this.#watchers === 1) this.#start();
    let joined = true;
    return () => {
      if (!joined) return;
      joined = false;
      this.#watchers--;
      if (this.#watchers === 0) void this.#stop();
    };
  }

  /** Something was committed here: look at once. */
  poke(): void {
    this.#loop?.wake();
  }

  /** The kept changes after a position; undefined where that is older, or nothing was read yet. */
  after(position: FeedPosition): readonly FeedRow[] | undefined {
    if (this.#from === undefined || comparePositions(position, this.#from) < 0) return undefined;
    let low = 0;
    let high = this.#rows.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (comparePositions(this.#rows[middle]!.at, position) <= 0) low = middle + 1;
      else high = middle;
    }
    return this.#rows.slice(low, low + PAGE);
  }

  /** Counts up whenever there may be more. */
  get generation(): number {
    return this.#generation;
  }

  /** Resolves when there is more than at that generation, or when the signal aborts. */
  async more(since: number, signal: AbortSignal): Promise<void> {
    if (signal.aborted || this.#generation !== since) return;
    await new Promise<void>((resolve) => {
      const done = (): void => {
        this.#waiting.delete(done);
        signal.removeEventListener("abort", done);
        resolve();
      };
      this.#waiting.add(done);
      signal.addEventListener("abort", done, { once: true });
    });
  }

  async close(): Promise<void> {
    await this.#stop();
  }

  #start(): void {
    const loop = new Loop({
      name: "feed",
      runOnce: () => this.#read(),
      pauseMs: this.#options.pollMs,
      log: this.#options.log,
    });
    this.#loop = loop;
    loop.start();
  }

  async #stop(): Promise<void> {
    const loop = this.#loop;
    this.#loop = undefined;
    this.#from = undefined;
    this.#rows = [];
    this.#bytes = 0;
    await loop?.stop();
  }

  async #read(): Promise<boolean> {
    const { feed } = this.#options.store;
    const loop = this.#loop;
    if (this.#from === undefined) {
      const { head } = await feed.bounds();
      if (this.#loop !== loop) return false;
      this.#from = head;
      this.#wakeAll();
    }
    const rows = await feed.read(this.#rows.at(-1)?.at ?? this.#from, PAGE);
    if (this.#loop !== loop || rows.length === 0) return false;
    this.#keep(rows);
    this.#wakeAll();
    return isFull(
      rows.map(({ body }) => body),
      PAGE,
    );
  }

  #keep(rows: readonly FeedRow[]): void {
    this.#rows.push(...rows);
    for (const row of rows) this.#bytes += bytesOf(row);
    const { keepChanges, keepBytes } = this.#options;
    let drop = 0;
    while (
      this.#rows.length - drop > keepChanges ||
      (this.#bytes > keepBytes && drop < this.#rows.length - 1)
    ) {
      this.#bytes -= bytesOf(this.#rows[drop]!);
      drop++;
    }
    if (drop === 0) return;
    this.#from = this.#rows[drop - 1]!.at;
    this.#rows = this.#rows.slice(drop);
  }

  #wakeAll(): void {
    this.#generation++;
    for (const wake of this.#waiting) wake();
  }
}

function bytesOf(row: FeedRow): number {
  return 500 + 2 * (row.body?.length ?? 0);
}
