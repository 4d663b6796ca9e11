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
import { SendWindow } from "./send-window.ts";
import { WakeUps } from "./wake-ups.ts";

export interface RelayOptions extends SendOptions {
  readonly relay: RelayStore;
  readonly feed: Pick<ChangeFeed, "bounds" | "document">;
  /** Where workers are told that tasks are ready; unsaid: nowhere. */
  readonly taskTopic?: string;
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
/** How often the database is told how far the changes went. */
const UPKEEP_MS = 100;
const MAX_REST_MS = 2_000;
const BACKLOG_LIMIT = 10_000;
const BACKLOG_EVERY_MS = 1_000;

/**
 * Sends every committed change to the message bus: at least once, each scope in step order.
 *
 * The services share sixteen partitions of the scopes under leases. How far each was sent is in the
 * database, so any of them may be killed at any point: what follows is sent once more. A bus that is
 * away holds nobody back: the changes wait in the log.
 *
 * One loop reads what was committed into a window of rows that are being sent; another one keeps the
 * leases and tells the database how far all was sent, so that no message waits for either.
 */
export class Relay {
  readonly #options: RelayOptions;
  readonly #holder = randomUUID();
  readonly #leaseMs: number;
  readonly #reading: Loop;
  readonly #upkeep: Loop;
  readonly #window: SendWindow;
  readonly #wakeUps: WakeUps | undefined;
  #held: readonly RelayPartition[] = [];
  /** Counts up when the partitions held are others: what was read for the former ones is no more sent. */
  #holding = 0;
  /** Up to where the partitions held were read, and whether more is waiting there. */
  #readTo: FeedPosition = FEED_START;
  #isBehind = false;
  #renewAt = 0;
  /** Up to where it was told that changes are missing. */
  #toldGap: FeedPosition = FEED_START;
  #backlogAt = 0;
  readonly #fates = { sent: 0, reduced: 0, parked: 0 };
  #failed = 0;
  #gaps = 0;
  #backlog = { changesBehind: 0, lagMs: 0 };
  readonly #troubles = new Map<"reading" | "upkeep", string>();
  #stopping: Promise<void> | undefined;

  constructor(options: RelayOptions) {
    const { leaseMs = LEASE_MS, concurrency, pollMs, log, producer, taskTopic: topic } = options;
    this.#options = options;
    this.#leaseMs = leaseMs;
    const send = (row: FeedRow, ended: AbortSignal): Promise<void> => this.#send(row, ended);
    this.#wakeUps = topic === undefined ? undefined : new WakeUps({ producer, topic, log });
    this.#window = new SendWindow({ send, concurrency, onRoom: () => this.#reading.wake(), log });
    this.#reading = new Loop({
      name: "relay",
      runOnce: (signal) => this.#noting("reading", () => this.#read(signal)),
      pauseMs: pollMs,
      log,
    });
    this.#upkeep = new Loop({
      name: "relay upkeep",
      runOnce: () => this.#noting("upkeep", () => this.#keepUp()),
      pauseMs: Math.min(UPKEEP_MS, leaseMs / 6),
      log,
    });
  }

  start(): void {
    this.#upkeep.start();
    this.#reading.start();
  }

  /** Something was committed here: look at once. */
  poke(): void {
    this.#reading.wake();
  }

  get figures(): RelayFigures {
    const reason = this.#window.trouble ?? [...this.#troubles.values()][0];
    return {
      health: this.#health(reason),
      partitions: this.#held.length,
      sent: this.#fates.sent + this.#fates.reduced,
      failed: this.#failed,
      reduced: this.#fates.reduced,
      parked: this.#fates.parked,
      inFlight: this.#window.inFlight,
      ...this.#backlog,
      gaps: this.#gaps,
      ...(reason === undefined ? {} : { reason }),
    };
  }

  #health(reason: string | undefined): RelayHealth {
    if (reason !== undefined) return "unavailable";
    if (this.#held.length === 0) return this.#renewAt === 0 ? "behind" : "waiting";
    return this.#isBehind || this.#window.before !== undefined ? "behind" : "ok";
  }

  /** Ends what is under way and gives the partitions back, where the database answers. Safe twice. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  async #stop(): Promise<void> {
    const { relay, log } = this.#options;
    await Promise.all([this.#reading.stop(), this.#upkeep.stop(), this.#window.stop()]);
    try {
      await this.#advance();
      await relay.release(this.#holder);
    } catch (error) {
      log.debug({ error }, "the leases of the relay run out by themselves");
    }
    this.#held = [];
  }

  async #noting<Result>(part: "reading" | "upkeep", round: () => Promise<Result>): Promise<Result> {
    try {
      const result = await round();
      this.#troubles.delete(part);
      return result;
    } catch (error) {
      this.#troubles.set(part, error instanceof Error ? error.message : String(error));
      throw error;
    }
  }

  /** Reads what comes next of the partitions held into the window; whether there is more. */
  async #read(signal: AbortSignal): Promise<boolean> {
    if (this.#held.length === 0 || !this.#window.hasRoom) return false;
    const began = systemClock.monotonicMs();
    const held = this.#held;
    const holding = this.#holding;
    const from = this.#readTo;
    const ids = held.map(({ partition }) => partition);
    // What was pruned is looked for beside the reading: nobody's message waits for it.
    const pruned = this.#isBehind ? this.#tellGap(from) : undefined;
    const [page] = await Promise.all([this.#options.relay.read(ids, from, PAGE), pruned]);
    if (holding !== this.#holding || signal.aborted) return false;
    const sentTo = new Map(held.map((one) => [one.partition, one.sentTo]));
    const rows = page.rows.filter(
      ({ at }) => comparePositions(at, sentTo.get(partitionOf(at))!) > 0,
    );
    this.#readTo = page.next;
    this.#isBehind = page.more;
    this.#window.add(rows, from);
    if (page.rows.length > 0) await this.#rest(began, signal);
    return page.more;
  }

  /** Leaves a busy machine to the writes, for a while that matches what it took: what waits is in the log. */
  async #rest(began: number, signal: AbortSignal): Promise<void> {
    const { isBusy, share = 1 } = this.#options;
    if (share === 1 || isBusy?.() !== true) return;
    await this.#window.idle();
    const tookMs = systemClock.monotonicMs() - began;
    const restMs = Math.min(MAX_REST_MS, tookMs * (1 / share - 1));
    await sleep(restMs, undefined, { signal }).catch(() => undefined);
  }

  async #keepUp(): Promise<boolean> {
    await this.#advance();
    await this.#lease();
    await this.#lookBack();
    return false;
  }

  async #lease(): Promise<void> {
    const now = systemClock.monotonicMs();
    if (now < this.#renewAt) return;
    const leased = await this.#options.relay.lease(this.#holder, this.#leaseMs);
    this.#renewAt = now + this.#leaseMs / 3;
    if (!isSame(leased, this.#held)) await this.#hold(leased);
  }

  /** Begins anew, with other partitions: where each was sent to. */
  async #hold(leased: readonly RelayPartition[]): Promise<void> {
    const former = new Map(this.#held.map(({ partition, epoch }) => [partition, epoch]));
    this.#holding += 1;
    this.#held = []; // Nothing is read meanwhile.
    const sentTo = (await this.#window.clear()) ?? this.#readTo;
    this.#held = leased.map((one) => {
      const isKept = former.get(one.partition) === one.epoch;
      return isKept && comparePositions(sentTo, one.sentTo) > 0 ? { ...one, sentTo } : one;
    });
    const positions = this.#held.map((one) => one.sentTo).toSorted(comparePositions);
    this.#readTo = positions[0] ?? FEED_START;
    this.#isBehind = true;
    this.#backlogAt = 0;
    await this.#lookBack(); // Before anybody says that all was sent.
    this.#reading.wake();
  }

  async #advance(): Promise<void> {
    const to = this.#window.before ?? this.#readTo;
    // One that is further already, as it came from another service, stays where it is.
    const behind = this.#held.filter(({ sentTo }) => comparePositions(sentTo, to) < 0);
    if (behind.length === 0) return;
    const kept = await this.#options.relay.advance(this.#holder, behind, to);
    if (behind.some(({ partition }) => !kept.has(partition))) this.#renewAt = 0;
    this.#held = this.#held.map((one) => (kept.has(one.partition) ? { ...one, sentTo: to } : one));
  }

  async #send(row: FeedRow, ended: AbortSignal): Promise<void> {
    const { namespace } = row;
    const rolledBack = beginsRollback(row) ? await readRolledBack(this.#options, row) : null;
    if (rolledBack !== null) {
      const write: Sending["write"] = (options) => rolledBackMessage(rolledBack, options);
      await this.#sendOne({ namespace, write }, ended);
    }
    const change = await this.#options.readChange(row);
    await this.#sendOne({ namespace, write: (options) => changeMessage(change, options) }, ended);
    this.#wakeUps?.tell(change);
  }

  async #sendOne(sending: Sending, ended: AbortSignal): Promise<void> {
    try {
      this.#fates[await sendOrPark(sending, this.#options, ended)] += 1;
    } catch (error) {
      this.#failed += 1;
      throw error;
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

function isSame(one: readonly RelayPartition[], other: readonly RelayPartition[]): boolean {
  const epochs = new Map(one.map(({ partition, epoch }) => [partition, epoch]));
  return (
    one.length === other.length &&
    other.every(({ partition, epoch }) => epochs.get(partition) === epoch)
  );
}

function partitionOf({ scopeNo }: FeedPosition): number {
  return Number(scopeNo % BigInt(PARTITIONS));
}
