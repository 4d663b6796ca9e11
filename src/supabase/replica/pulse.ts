import { systemClock } from "../../service/clock.ts";
import { withDeadline } from "../../service/deadline.ts";
import type { Logger } from "../../service/log-port.ts";
import { Loop } from "../../service/loop.ts";
import type { Caller } from "../caller.ts";
import { readStanding } from "../sql/copy-standing.ts";
import type { Standing } from "../sql/copy-standing.ts";
import type { Breaker } from "./breaker.ts";
import { comparePositions } from "./log-position.ts";
import { faultOf } from "./replica-fault.ts";
import type { Seen } from "./seen.ts";

/** How long the probe may take: a replica that is slower than this does not help. */
const PROBE_MS = 500;

/** Main is asked beside others; without its answer nothing is forgotten, and nothing else happens. */
const MAIN_MS = 250;

/** A replica that is further behind serves no reads. */
const MAX_LAG_MS = 5_000;

/** How often a replica that nobody asks is probed. */
const IDLE_MS = 2_000;

/** Demands nothing. */
export const ANYTHING = { position: null, scopes: [] } as const;

export interface PulseOptions {
  readonly probe: Caller;
  readonly main: Caller;
  readonly seen: Seen;
  readonly breaker: Breaker;
  readonly pulseMs: number;
  readonly log: Logger;
  /** Throws where the replica is none of main's. */
  readonly check: (standing: Standing) => void;
}

/** Feels, again and again, whether the replica lives and how far it is behind main. */
export class Pulse {
  /** Set by every read; an idle replica is felt less often. */
  isWanted = true;
  readonly #options: PulseOptions;
  readonly #loop: Loop;
  #lineage: string | null = null;
  /** How far main was, and when; until the replica has come there. */
  #mark: { readonly position: string; readonly sinceMs: number; isLate: boolean } | null = null;
  #idleUntilMs = 0;

  constructor(options: PulseOptions) {
    this.#options = options;
    const { pulseMs, log } = options;
    this.#loop = new Loop({ name: "replica", pauseMs: pulseMs, log, runOnce: () => this.#beat() });
  }

  /** Names main's database; null before main first answered. */
  get lineage(): string | null {
    return this.#lineage;
  }

  /** How long the replica has not had what main had; 0 where it had all at the last beat. */
  get lagMs(): number {
    return this.#mark?.isLate === true
      ? Math.round(systemClock.monotonicMs() - this.#mark.sinceMs)
      : 0;
  }

  start(): void {
    this.#loop.start();
  }

  stop(): Promise<void> {
    return this.#loop.stop();
  }

  /** A read failed for a reason that lies in the replica. */
  suspect(error: unknown, fault: "unreachable" | "schema"): void {
    const message = error instanceof Error ? error.message : String(error);
    this.#options.breaker.suspect(
      fault === "schema" ? SCHEMA_IS_BEHIND : `it does not answer (${message})`,
    );
  }

  async #beat(): Promise<boolean> {
    const { seen, breaker } = this.#options;
    const isQuiet = !this.isWanted && seen.isEmpty && breaker.reason === null;
    if (isQuiet && systemClock.monotonicMs() < this.#idleUntilMs) return false;
    this.isWanted = false;
    this.#idleUntilMs = systemClock.monotonicMs() + IDLE_MS;
    await this.#markMain();
    await this.#feelReplica();
    return false;
  }

  /** From where main is now on, the replica has all that was seen before. */
  async #markMain(): Promise<void> {
    const { main, seen } = this.#options;
    if (this.#mark !== null) return;
    const sinceMs = systemClock.monotonicMs();
    seen.close();
    try {
      const { lineage, position } = await limited(main, MAIN_MS);
      this.#lineage = lineage;
      this.#mark = { position, sinceMs, isLate: false };
    } catch {
      // Main says itself to its callers that it is away; what was seen stays in mind.
    }
  }

  async #feelReplica(): Promise<void> {
    const { probe, breaker, check } = this.#options;
    let standing: Standing;
    try {
      standing = await limited(probe, PROBE_MS);
    } catch (error) {
      this.suspect(error, faultOf(error) === "schema" ? "schema" : "unreachable");
      return;
    }
    try {
      check(standing);
    } catch {
      return; // the breaker has the reason
    }
    this.#compare(standing);
    if (this.lagMs > MAX_LAG_MS) breaker.open("it is far behind");
    else if (this.#lineage !== null) breaker.close();
  }

  #compare({ position }: Standing): void {
    const { seen } = this.#options;
    if (this.#mark === null) return;
    if (comparePositions(position, this.#mark.position) < 0) {
      this.#mark.isLate = true;
      return;
    }
    const { sinceMs } = this.#mark;
    this.#mark = null;
    seen.forget(position, sinceMs);
  }
}

const SCHEMA_IS_BEHIND = "its schema is behind that of main";

function limited(caller: Caller, timeoutMs: number): Promise<Standing> {
  return withDeadline({ what: "The probe", timeoutMs }, () => readStanding(caller, ANYTHING));
}
