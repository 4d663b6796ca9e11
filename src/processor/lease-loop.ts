import { backoffMs } from "../service/backoff.ts";
import { systemClock } from "../service/clock.ts";
import type { WorkerBeat } from "../state/task-face.ts";

/** What is told of a worker's leases, one an incarnation. */
export interface LeaseEvents {
  onBeat(incarnation: string, beat: WorkerBeat): void;
  /** It could not be renewed while it lasted: what was held under it is others' now. */
  onLost(incarnation: string): void;
}

/** Goes on with leases until they are dropped; closed, it keeps no new one. */
export interface LeaseKeeper {
  /** Resolves when it goes on with what it is told to keep: before that, a handler may hold up its start. */
  readonly ready: Promise<void>;
  keep(incarnation: string): void;
  drop(incarnation: string): void;
  close(): void;
}

/** Says that the worker lives; in `timeoutMs`, or it throws. */
export type Beat = (incarnation: string, timeoutMs: number) => Promise<WorkerBeat>;

/** Beats a lease: a lost one or two do no harm. */
const BEATS = 3;
/** Until the first answer says how long leases last. */
const FIRST_LEASE_MS = 15_000;

/** Renews leases on the event loop that it is called on, each until it is dropped. */
export class LeaseLoop implements LeaseKeeper {
  readonly ready = Promise.resolve();
  readonly #beat: Beat;
  readonly #events: LeaseEvents;
  readonly #kept = new Map<string, KeptLease>();
  #isClosed = false;

  constructor(beat: Beat, events: LeaseEvents) {
    this.#beat = beat;
    this.#events = events;
  }

  keep(incarnation: string): void {
    if (this.#isClosed || this.#kept.has(incarnation)) return;
    this.#kept.set(incarnation, new KeptLease(incarnation, this.#beat, this.#events));
  }

  drop(incarnation: string): void {
    this.#kept.get(incarnation)?.drop();
    this.#kept.delete(incarnation);
  }

  close(): void {
    this.#isClosed = true;
    for (const incarnation of this.#kept.keys()) this.drop(incarnation);
  }
}

/** One lease, beat by beat. */
class KeptLease {
  readonly #incarnation: string;
  readonly #beat: Beat;
  readonly #events: LeaseEvents;
  #leaseMs = FIRST_LEASE_MS;
  #failures = 0;
  #dropped = false;
  #next: NodeJS.Timeout | undefined;
  #end: NodeJS.Timeout | undefined;

  constructor(incarnation: string, beat: Beat, events: LeaseEvents) {
    this.#incarnation = incarnation;
    this.#beat = beat;
    this.#events = events;
    this.#endAt(systemClock.monotonicMs() + this.#leaseMs);
    void this.#round();
  }

  drop(): void {
    this.#dropped = true;
    clearTimeout(this.#next);
    clearTimeout(this.#end);
  }

  async #round(): Promise<void> {
    const sentAt = systemClock.monotonicMs();
    const beat = await this.#try();
    if (this.#dropped) return;
    if (beat === undefined) this.#failures++;
    else {
      this.#failures = 0;
      this.#leaseMs = beat.leaseMs;
      this.#endAt(sentAt + beat.leaseMs);
      this.#events.onBeat(this.#incarnation, beat);
    }
    if (this.#dropped) return;
    const pauseMs = this.#leaseMs / BEATS;
    const retry = { firstMs: Math.min(200, pauseMs), maxMs: pauseMs };
    const waitMs = this.#failures === 0 ? pauseMs : backoffMs(this.#failures, retry, Math.random());
    this.#next = setTimeout(() => void this.#round(), waitMs).unref();
  }

  async #try(): Promise<WorkerBeat | undefined> {
    try {
      return await this.#beat(this.#incarnation, Math.max(this.#leaseMs / BEATS, 100));
    } catch {
      return undefined; // Told once the lease is lost; until then it is tried again.
    }
  }

  /** Counted from when the beat was sent: by the clock of the database, the lease lasts longer. */
  #endAt(moment: number): void {
    clearTimeout(this.#end);
    const inMs = moment - systemClock.monotonicMs();
    this.#end = setTimeout(() => this.#events.onLost(this.#incarnation), inMs).unref();
  }
}
