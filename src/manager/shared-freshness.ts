import { systemClock } from "../service/clock.ts";
import type { Clock } from "../service/clock.ts";
import type { Moment } from "../state/ports.ts";

/** One number each: 8 MiB. States whose names fall together are only read from the database more often. */
const SLOTS = 2 ** 20; // a power of two

/** Since the last look at the feed: no entry that is there can be known to have it. */
const NOT_SETTLED = Number.POSITIVE_INFINITY;

/** Looks that are remembered, for what a replica answers has what was settled some time ago. */
const MOMENTS = 256;

/**
 * What an entry of a shared cache must have in it to be as fresh as what this process was told of.
 *
 * Whatever became of a state that the directory does not know for sure is remembered as the moment after
 * which a reader sees it, in a table that never forgets: an entry that was read later is no older. So no
 * write has to reach the cache, and one that was restored with old contents does no harm.
 */
export class SharedFreshness {
  readonly #needed: Float64Array;
  /** Slots that were touched since the last look began, and before that. */
  #open = new Set<number>();
  readonly #closing = new Set<number>();
  #floor = NOT_SETTLED;
  #moment: Moment | null = null;
  /** The last looks of this run, oldest first, and when each was over. */
  readonly #moments: { readonly moment: Moment; readonly atMs: number }[] = [];
  readonly #clock: Pick<Clock, "monotonicMs">;
  #begun = 0;
  /** Looks before whose beginning something may still be under way, oldest first. */
  readonly #unsettled: { readonly number: number; readonly next: number }[] = [];
  #settled = 0;

  constructor(slots = SLOTS, clock: Pick<Clock, "monotonicMs"> = systemClock) {
    this.#needed = new Float64Array(slots);
    this.#clock = clock;
  }

  /** The last look at the feed; null before the first: then no entry can be judged. */
  get moment(): Moment | null {
    return this.#moment;
  }

  /**
   * The last look that was over at this time of the process's clock: what was settled then, main had.
   * Null where none is remembered.
   */
  momentAt(atMs: number): Moment | null {
    return this.#moments.findLast((look) => look.atMs <= atMs)?.moment ?? null;
  }

  /** How many looks have begun. */
  get looks(): number {
    return this.#begun;
  }

  /** Whether others' changes that were there after so many looks had begun were all told. */
  hasTold(looks: number): boolean {
    return looks < this.#settled;
  }

  /** Something became of the state. */
  touch(name: string): void {
    const slot = this.#slotOf(name);
    this.#needed[slot] = NOT_SETTLED;
    this.#open.add(slot);
  }

  /** A look at the feed begins: what was touched until now, it sees. */
  beginLook(): void {
    this.#begun += 1;
    for (const slot of this.#open) this.#closing.add(slot);
    this.#open = new Set();
  }

  /** The look that began last told that the state was changed. */
  tell(name: string): void {
    const slot = this.#slotOf(name);
    this.#needed[slot] = NOT_SETTLED;
    this.#closing.add(slot);
  }

  /**
   * The look that began last was taken at this moment.
   *
   * @param since something may have become of any state that was not told, before this transaction; unsaid: nothing.
   */
  endLook(moment: Moment, since?: number): void {
    if (since !== undefined) this.#floor = since;
    // Whoever reads after a restart sees what was there before it, and what came after was told.
    else if (this.#moment?.run !== moment.run) this.#floor = 0;
    this.#remember(moment);
    for (const slot of this.#closing) {
      if (!this.#open.has(slot)) this.#needed[slot] = moment.next;
    }
    this.#closing.clear();
  }

  /** Whether an entry in which this is settled has all that this process was told of the state. */
  covers(name: string, settled: number): boolean {
    return settled >= this.#floor && settled >= this.#needed[this.#slotOf(name)]!;
  }

  #remember(moment: Moment): void {
    if (this.#moment?.run !== moment.run) {
      this.#moments.length = 0;
      this.#unsettled.length = 0;
    }
    this.#moment = moment;
    this.#moments.push({ moment, atMs: this.#clock.monotonicMs() });
    if (this.#moments.length > MOMENTS) this.#moments.shift();
    this.#unsettled.push({ number: this.#begun, next: moment.next });
    if (this.#unsettled.length > MOMENTS) this.#unsettled.shift();
    // A look tells what has ended before all that was under way when it began: the rest comes with a later one.
    while (this.#unsettled.length > 0 && this.#unsettled[0]!.next <= moment.settled) {
      this.#settled = this.#unsettled.shift()!.number;
    }
  }

  /** FNV-1a, folded. */
  #slotOf(name: string): number {
    let hash = 0x81_1c_9d_c5;
    for (let index = 0; index < name.length; index++) {
      hash = Math.imul(hash ^ name.charCodeAt(index), 0x01_00_01_93);
    }
    return (hash ^ (hash >>> 20)) & (this.#needed.length - 1);
  }
}
