import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { systemClock } from "../service/clock.ts";
import { Loop } from "../service/loop.ts";
import { changeMessage } from "../state/change-event.ts";
import { comparePositions, FEED_START } from "../state/cursor.ts";
import { PAGE_BYTES } from "../state/page.ts";
import type { ChangeFeed, FeedPosition, FeedRow } from "../state/ports.ts";
import { PARTITIONS } from "../state/relay-port.ts";
import type { RelayPartition, RelayStore } from "../state/relay-port.ts";
import { rolledBackMessage } from "../state/rolled-back-event.ts";
import type { Change } from "../state/state.ts";
import { beginsRollback, readRolledBack } from "./read-rolled-back.ts";
import { sendOrPark } from "./send-or-park.ts";
import type { SendOptions, Sending } from "./send-or-park.ts";
import { sendInGroups } from "./send-in-groups.ts";

export interface RelayOptions extends SendOptions {
  readonly relay: RelayStore;
  readonly feed: Pick<ChangeFeed, "bounds" | "document">;
  /** Puts the document of a row of the log together. */
  readonly readChange: (row: FeedRow) => Promise<Change>;
  /** Messages that are sent side by side; of one scope never two. */
  readonly concurrency: number;
  /** How soon changes that other processes committed are seen. */
  readonly pollMs: number;
  /** Whether others need the machine more; unsaid: never. */
  readonly isBusy?: () => boolean;
  /** The part of the time in which it works while that is so, above 0, at most 1; default 1. */
  readonly share?: number;
  /** How long another service waits for this one when it does not answer; default 15,000. */
  readonly leaseMs?: number;
}

/** ok: all was sent. behind: not yet. waiting: others send. unavailable: see `reason`. */
export type RelayHealth = "ok" | "behind" | "waiting" | "unavailable";

/** How far the changes went, for people and metrics. */
export interface RelayFigures {
  readonly health: RelayHealth;
  /** Partitions of the sixteen that this service sends. */
  readonly partitions: number;
  /** Messages that the bus took, and sends that failed, since this process started. */
  readonly sent: number;
  readonly failed: number;
  /** Changes that the bus would never take: those that went out without their document, and those that were parked. */
  readonly reduced: number;
  readonly parked: number;
  /** Messages on their way at the moment. */
  readonly inFlight: number;
  /** Changes of all services that were not sent yet, counted up to 10,000, and how long the oldest of them waits. */
  readonly changesBehind: number;
  readonly lagMs: number;
  /** How often changes were pruned before they could be sent. */
  readonly gaps: number;
  readonly reason?: string;
}

const LEASE_MS = 15_000;
const PAGE = { limit: 1_000, bytes: PAGE_BYTES };
const MAX_REST_MS = 2_000;
const BACKLOG_LIMIT = 10_000;
const BACKLOG_EVERY_MS = 1_000;

/**
 * Sends every committed change to the message bus: at least once, each scope in step order.
 *
 * The services share sixteen partitions of the scopes under leases. How far each was sent is in the
 * database, so any of them may be killed at any point: what follows is sent once more. A bus that is
 * away holds nobody back: the changes wait in the log.
 */
export class Relay {
  readonly #options: RelayOptions;
  readonly #holder = randomUUID();
  readonly #leaseMs: number;
  readonly #loop: Loop;
  #held: readonly RelayPartition[] = [];
  #renewAt = 0;
  /** Up to where it was told that changes are missing. */
  #toldGap: FeedPosition = FEED_START;
  #backlogAt = 0;
  #health: RelayHealth = "behind";
  #reason: string | undefined;
  readonly #fates = { sent: 0, reduced: 0, parked: 0 };
  #failed = 0;
  #inFlight = 0;
  #gaps = 0;
  #backlog = { changesBehind: 0, lagMs: 0 };
  #stopping: Promise<void> | undefined;

  constructor(options: RelayOptions) {
    this.#options = options;
    this.#leaseMs = options.leaseMs ?? LEASE_MS;
    this.#loop = new Loop({
      name: "relay",
      runOnce: (signal) => this.#round(signal),
      pauseMs: options.pollMs,
      log: options.log,
    });
  }

  start(): void {
    this.#loop.start();
  }

  /** Something was committed here: look at once. */
  poke(): void {
    this.#loop.wake();
  }

  get figures(): RelayFigures {
    return {
      health: this.#health,
      partitions: this.#held.length,
      sent: this.#fates.sent + this.#fates.reduced,
      failed: this.#failed,
      reduced: this.#fates.reduced,
      parked: this.#fates.parked,
      inFlight: this.#inFlight,
      ...this.#backlog,
      gaps: this.#gaps,
      ...(this.#reason === undefined ? {} : { reason: this.#reason }),
    };
  }

  /** Ends what is under way and gives the partitions back, where the database answers. Safe twice. */
  stop(): Promise<void> {
    this.#stopping ??= this.#loop.stop().then(async () => {
      this.#held = [];
      await this.#options.relay.release(this.#holder).catch((error: unknown) => {
        this.#options.log.debug({ error }, "the leases of the relay run out by themselves");
      });
    });
    return this.#stopping;
  }

  async #round(signal: AbortSignal): Promise<boolean> {
    const began = systemClock.monotonicMs();
    try {
      await this.#lease();
      const more = this.#held.length > 0 && (await this.#sendPage(signal));
      if (more) await this.#rest(systemClock.monotonicMs() - began, signal);
      await this.#lookBack();
      this.#reason = undefined;
      this.#health = this.#held.length === 0 ? "waiting" : more ? "behind" : "ok";
      return more;
    } catch (error) {
      this.#health = "unavailable";
      this.#reason = error instanceof Error ? error.message : String(error);
      await this.#lookBack().catch(() => {}); // What failed first is what is told.
      throw error;
    }
  }

  /** Leaves a busy machine to the writes, for a while that matches what it took: what waits is in the log. */
  async #rest(tookMs: number, signal: AbortSignal): Promise<void> {
    const { isBusy, share = 1 } = this.#options;
    if (share === 1 || isBusy?.() !== true) return;
    const restMs = Math.min(MAX_REST_MS, tookMs * (1 / share - 1));
    await sleep(restMs, undefined, { signal }).catch(() => undefined);
  }

  async #lease(): Promise<void> {
    const now = systemClock.monotonicMs();
    if (now < this.#renewAt) return;
    this.#held = await this.#options.relay.lease(this.#holder, this.#leaseMs);
    this.#renewAt = now + this.#leaseMs / 3;
  }

  /** Sends what comes next of the partitions held; whether there is more. */
  async #sendPage(signal: AbortSignal): Promise<boolean> {
    const { relay } = this.#options;
    const held = this.#held;
    const from = held.map(({ sentTo }) => sentTo).toSorted(comparePositions)[0]!;
    const ids = held.map(({ partition }) => partition);
    const page = await relay.read(ids, from, PAGE);
    const sentTo = new Map(held.map((one) => [one.partition, one.sentTo]));
    const rows = page.rows.filter(
      ({ at }) => comparePositions(at, sentTo.get(partitionOf(at))!) > 0,
    );
    // What was pruned is looked for beside the sending: nobody's message waits for it.
    const both = [this.#keepingLease(() => this.#send(rows, signal)), this.#tellGap(from)];
    for (const done of await Promise.allSettled(both)) {
      if (done.status === "rejected") throw done.reason;
    }
    if (comparePositions(page.next, from) > 0) await this.#advance(held, page.next);
    return page.more;
  }

  /** A page that takes long, on a slow bus, is not sent by another service as well. */
  async #keepingLease(work: () => Promise<void>): Promise<void> {
    const { relay, log } = this.#options;
    const timer = setInterval(() => {
      this.#renewAt = 0; // What it may have got by this, the next round sees.
      relay.lease(this.#holder, this.#leaseMs).catch((error: unknown) => {
        log.debug({ error }, "the lease of the relay could not be renewed");
      });
    }, this.#leaseMs / 3);
    try {
      await work();
    } finally {
      clearInterval(timer);
    }
  }

  async #advance(held: readonly RelayPartition[], to: FeedPosition): Promise<void> {
    // One that is further already, as it came from another service, stays where it is.
    const behind = held.filter(({ sentTo }) => comparePositions(sentTo, to) < 0);
    const kept = await this.#options.relay.advance(this.#holder, behind, to);
    const lost = behind.filter(({ partition }) => !kept.has(partition));
    if (lost.length > 0) this.#renewAt = 0;
    this.#held = held
      .filter((one) => !lost.includes(one))
      .map((one) => (kept.has(one.partition) ? { ...one, sentTo: to } : one));
  }

  async #send(rows: readonly FeedRow[], signal: AbortSignal): Promise<void> {
    const { readChange, concurrency } = this.#options;
    await sendInGroups(scopesOf(rows), { concurrency, signal }, async (row, ended) => {
      const { namespace } = row;
      const rolledBack = beginsRollback(row) ? await readRolledBack(this.#options, row) : null;
      if (rolledBack !== null) {
        await this.#sendOne(
          { namespace, write: (options) => rolledBackMessage(rolledBack, options) },
          ended,
        );
      }
      const change = await readChange(row);
      await this.#sendOne({ namespace, write: (options) => changeMessage(change, options) }, ended);
    });
  }

  async #sendOne(sending: Sending, ended: AbortSignal): Promise<void> {
    this.#inFlight += 1;
    try {
      this.#fates[await sendOrPark(sending, this.#options, ended)] += 1;
    } catch (error) {
      this.#failed += 1;
      throw error;
    } finally {
      this.#inFlight -= 1;
    }
  }

  /** What was pruned before it was sent cannot be sent any more: consumers see that versions are missing. */
  async #tellGap(from: FeedPosition): Promise<void> {
    if (comparePositions(from, FEED_START) === 0) return; // It begins with what is kept.
    const { floor } = await this.#options.feed.bounds();
    if (floor === null || comparePositions(from, floor) >= 0) return;
    if (comparePositions(floor, this.#toldGap) <= 0) return;
    this.#toldGap = floor;
    this.#gaps += 1;
    this.#options.log.error(
      { gaps: this.#gaps },
      "changes were pruned before they could be sent to the message bus: keep history longer than the bus is away (history.keepDays)",
    );
  }

  async #lookBack(): Promise<void> {
    const now = systemClock.monotonicMs();
    if (now < this.#backlogAt) return;
    this.#backlogAt = now + BACKLOG_EVERY_MS;
    const { behind, since } = await this.#options.relay.backlog(BACKLOG_LIMIT);
    const lagMs = since === null ? 0 : Math.max(0, systemClock.now() - since.getTime());
    this.#backlog = { changesBehind: behind, lagMs };
  }
}

function scopesOf(rows: readonly FeedRow[]): FeedRow[][] {
  const scopes = new Map<bigint, FeedRow[]>();
  for (const row of rows) {
    const known = scopes.get(row.at.scopeNo);
    if (known === undefined) scopes.set(row.at.scopeNo, [row]);
    else known.push(row);
  }
  return [...scopes.values()];
}

function partitionOf({ scopeNo }: FeedPosition): number {
  return Number(scopeNo % BigInt(PARTITIONS));
}
