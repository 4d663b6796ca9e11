import { setMaxListeners } from "node:events";
import { backoffMs } from "../service/backoff.ts";
import type { Backoff } from "../service/backoff.ts";
import type { Logger } from "../service/log-port.ts";
import type { FeedPosition, FeedRow } from "../state/ports.ts";

export interface SendWindowOptions {
  /** Sends all that a row gives rise to. */
  readonly send: (row: FeedRow, signal: AbortSignal) => Promise<void>;
  /** Rows that are sent side by side; of one scope never two. */
  readonly concurrency: number;
  /** There is room again for more rows. */
  readonly onRoom: () => void;
  readonly log: Logger;
}

/** A row that was not sent yet. */
interface Unsent {
  readonly row: FeedRow;
  /** All up to here comes before it. */
  readonly before: FeedPosition;
  readonly bytes: number;
}

/** The rows of a scope, in their order. */
interface Chain {
  readonly scopeNo: bigint;
  readonly rows: Unsent[];
  failures: number;
  /** Runs while it waits to try again. */
  timer: NodeJS.Timeout | undefined;
  isSending: boolean;
}

const ROOM = { rows: 1_000, bytes: 8 * 1024 * 1024 };
/** How long a scope waits whose row failed. */
const BACKOFF: Backoff = { firstMs: 50, maxMs: 5_000 };
/** So many failures in a row are not one scope's own: then one row at a time tries whether the bus is back. */
const AWAY = 8;

/**
 * Rows on their way to the message bus: each scope's one after the other, many scopes side by side.
 * What fails is tried again, and holds back its scope alone.
 */
export class SendWindow {
  readonly #options: SendWindowOptions;
  readonly #controller = new AbortController();
  readonly #chains = new Map<bigint, Chain>();
  /** Those that have a row to send, and neither send nor wait. */
  readonly #ready = new Set<Chain>();
  /** In the order of the log. */
  readonly #unsent = new Set<Unsent>();
  #bytes = 0;
  #sending = 0;
  #failures = 0;
  #reason: string | undefined;
  #isFull = false;
  #isPaused = false;
  readonly #waiting = new Set<{ isOver: () => boolean; resolve: () => void }>();

  constructor(options: SendWindowOptions) {
    this.#options = options;
    setMaxListeners(0, this.#controller.signal); // Each send that is under way listens for the end.
  }

  /** Everything before the first row that was not sent; undefined: all that it was given was sent. */
  get before(): FeedPosition | undefined {
    const [first] = this.#unsent;
    return first?.before;
  }

  get inFlight(): number {
    return this.#sending;
  }

  /** Why the last one failed; undefined where it was sent. */
  get trouble(): string | undefined {
    return this.#reason;
  }

  /** Whether it takes more rows now; where not, `onRoom` tells when it does. */
  get hasRoom(): boolean {
    this.#isFull = this.#unsent.size >= ROOM.rows || this.#bytes >= ROOM.bytes;
    return !this.#isFull;
  }

  /** Takes rows in the order of the log; all up to `from` comes before them. */
  add(rows: readonly FeedRow[], from: FeedPosition): void {
    let before = from;
    for (const row of rows) {
      const unsent = { row, before, bytes: row.body?.length ?? 0 };
      before = row.at;
      this.#unsent.add(unsent);
      this.#bytes += unsent.bytes;
      const chain = this.#chainOf(row.at.scopeNo);
      chain.rows.push(unsent);
      if (!chain.isSending && chain.timer === undefined) this.#ready.add(chain);
    }
    this.#sendMore();
  }

  /** Resolves when nothing is being sent nor could be: all was, or waits to be tried again; or when it was stopped. */
  idle(): Promise<void> {
    return this.#when(
      () => (this.#sending === 0 && this.#ready.size === 0) || this.#controller.signal.aborted,
    );
  }

  /** Forgets all, once nothing is on its way; up to where all was sent, as `before` says it. */
  async clear(): Promise<FeedPosition | undefined> {
    await this.#pause();
    const { before } = this;
    this.#chains.clear();
    this.#ready.clear();
    this.#unsent.clear();
    this.#bytes = 0;
    this.#isPaused = false;
    return before;
  }

  /** Ends what is on its way. */
  async stop(): Promise<void> {
    this.#controller.abort();
    this.#tellWaiting();
    await this.#pause();
  }

  async #pause(): Promise<void> {
    this.#isPaused = true;
    await this.#when(() => this.#sending === 0);
    for (const { timer } of this.#chains.values()) clearTimeout(timer);
  }

  #chainOf(scopeNo: bigint): Chain {
    const known = this.#chains.get(scopeNo);
    if (known !== undefined) return known;
    const chain: Chain = { scopeNo, rows: [], failures: 0, timer: undefined, isSending: false };
    this.#chains.set(scopeNo, chain);
    return chain;
  }

  #sendMore(): void {
    if (this.#isPaused) return;
    for (const chain of this.#ready) {
      const most = this.#failures > AWAY ? 1 : this.#options.concurrency;
      if (this.#sending >= most) return;
      this.#ready.delete(chain);
      void this.#sendFirst(chain);
    }
  }

  /** Never rejects. */
  async #sendFirst(chain: Chain): Promise<void> {
    const [unsent] = chain.rows;
    chain.isSending = true;
    this.#sending += 1;
    try {
      await this.#options.send(unsent!.row, this.#controller.signal);
      this.#sent(chain, unsent!);
    } catch (error) {
      this.#failed(chain, error);
    }
    chain.isSending = false;
    this.#sending -= 1;
    this.#sendMore();
    if (this.#isFull && this.hasRoom) this.#options.onRoom();
    this.#tellWaiting();
  }

  #sent(chain: Chain, unsent: Unsent): void {
    chain.rows.shift();
    this.#unsent.delete(unsent);
    this.#bytes -= unsent.bytes;
    chain.failures = 0;
    if (chain.rows.length > 0) this.#ready.add(chain);
    else this.#chains.delete(chain.scopeNo);
    const wasAway = this.#failures > AWAY;
    if (wasAway) {
      this.#options.log.info({ failures: this.#failures }, "changes are sent again");
    }
    this.#failures = 0;
    this.#reason = undefined;
    if (!wasAway) return;
    for (const waiting of this.#chains.values()) this.#tryAgain(waiting);
  }

  #failed(chain: Chain, error: unknown): void {
    if (this.#controller.signal.aborted) return;
    this.#failures += 1;
    if (this.#failures === 1) {
      this.#options.log.warn({ error }, "a change could not be sent, it will be tried again");
    }
    this.#reason = error instanceof Error ? error.message : String(error);
    chain.failures += 1;
    const waitMs = backoffMs(chain.failures, BACKOFF, Math.random());
    chain.timer = setTimeout(() => {
      this.#tryAgain(chain);
      this.#sendMore();
    }, waitMs);
  }

  #tryAgain(chain: Chain): void {
    if (chain.timer === undefined) return;
    clearTimeout(chain.timer);
    chain.timer = undefined;
    this.#ready.add(chain);
  }

  async #when(isOver: () => boolean): Promise<void> {
    if (isOver()) return;
    await new Promise<void>((resolve) => this.#waiting.add({ isOver, resolve }));
  }

  #tellWaiting(): void {
    for (const waiting of this.#waiting) {
      if (!waiting.isOver()) continue;
      this.#waiting.delete(waiting);
      waiting.resolve();
    }
  }
}
