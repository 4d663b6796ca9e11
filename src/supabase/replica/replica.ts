import { setTimeout as sleep } from "node:timers/promises";
import { systemClock } from "../../service/clock.ts";
import { withDeadline } from "../../service/deadline.ts";
import type { Logger } from "../../service/log-port.ts";
import { AgentRuntimeError } from "../../state/errors.ts";
import type { ReplicaStatus } from "../../state/ports.ts";
import type { Caller, CopyReader } from "../caller.ts";
import type { ScopeStep, Standing } from "../sql/copy-standing.ts";
import { Breaker } from "./breaker.ts";
import { ANYTHING, Pulse } from "./pulse.ts";
import type { FallbackReason, ReadCounter } from "./read-figures.ts";
import { Behind, faultOf } from "./replica-fault.ts";
import type { Seen } from "./seen.ts";

/** A replica that has just not come that far yet is asked again: measured, it has after 0.6 ms mostly, after 5 ms always. */
const RETRIES = 2;
const RETRY_MS = { least: 2, most: 5 };

/** One that is further behind will not have come in that time. */
const RETRY_LAG_MS = 50;

/** How long the detector waits for what it holds. */
const LOOK_MS = 5_000;

/** How long one that belongs to another database, or takes writes, is left alone. */
const REFUSED_MS = 10_000;

export interface ReplicaOptions {
  readonly reader: CopyReader;
  /** A way of its own, so that the pulse does not wait behind reads. */
  readonly probe: Caller;
  readonly main: Caller;
  readonly seen: Seen;
  readonly counter: ReadCounter;
  readonly pulseMs: number;
  readonly log: Logger;
}

/** A read that the replica may answer. */
export interface CopyRead<T> {
  /** What it must see beside its own rows; null: too much to say. */
  readonly scopes: readonly ScopeStep[] | null;
  /** True: whatever the replica has will do. */
  readonly isAnyFresh: boolean;
  readonly read: (caller: Caller) => Promise<T>;
  /** Whether the answer's own versions are new enough. */
  readonly isFresh: (answer: T) => boolean;
}

/** A streaming replica of main, as a server of reads. */
export class Replica {
  readonly #options: ReplicaOptions;
  readonly #breaker: Breaker;
  readonly #pulse: Pulse;

  constructor(options: ReplicaOptions) {
    this.#options = options;
    const { probe, main, seen, pulseMs, log } = options;
    this.#breaker = new Breaker(systemClock, log);
    this.#pulse = new Pulse({
      probe,
      main,
      seen,
      pulseMs,
      log,
      breaker: this.#breaker,
      check: (standing) => this.#check(standing),
    });
  }

  get status(): ReplicaStatus {
    const { reason } = this.#breaker;
    return {
      health: reason === null ? "ok" : "not in use",
      ...(reason === null ? {} : { reason }),
      lagMs: this.#pulse.lagMs,
      servedShare: this.#options.counter.servedShare,
    };
  }

  start(): void {
    this.#pulse.start();
  }

  /** Sends reads to main, for `ms` milliseconds at least and until the replica was found well. */
  open(reason: string, ms?: number): void {
    this.#breaker.open(reason, ms);
  }

  async close(): Promise<void> {
    this.#breaker.end();
    await this.#pulse.stop();
  }

  /** What the replica answers where that is fresh enough; undefined: ask main. */
  async read<T>(wanted: CopyRead<T>): Promise<{ readonly answer: T } | undefined> {
    const { counter, seen } = this.#options;
    this.#pulse.isWanted = true;
    const caller = this.#callerFor(wanted);
    for (let tries = 0; ; tries++) {
      if (this.#breaker.reason !== null) return this.#fallBack("open");
      if (!wanted.isAnyFresh && (wanted.scopes === null || seen.isFull))
        return this.#fallBack("unknown");
      const fault = await this.#attempt(wanted, caller);
      if (typeof fault === "object") return fault;
      const isPassing =
        fault === "conflict" || (fault === "behind" && this.#pulse.lagMs <= RETRY_LAG_MS);
      if (!isPassing || tries === (fault === "conflict" ? 1 : RETRIES))
        return this.#fallBack(fault);
      counter.countRetry();
      if (fault === "behind")
        await sleep(RETRY_MS.least + Math.random() * (RETRY_MS.most - RETRY_MS.least));
    }
  }

  /** What it holds, whether reads go there or not. Throws where it is none of main's, or slow to answer. */
  look<T>(read: (caller: Caller) => Promise<T>): Promise<T> {
    const caller = this.#callerFor({ scopes: null, isAnyFresh: true });
    return withDeadline({ what: "The look at the replica", timeoutMs: LOOK_MS }, () =>
      read(caller),
    );
  }

  async #attempt<T>(
    wanted: CopyRead<T>,
    caller: Caller,
  ): Promise<{ readonly answer: T } | FallbackReason> {
    try {
      const { opening } = this.#breaker;
      const deadline = { what: "The read of the replica", signal: opening };
      const answer = await withDeadline(deadline, () => wanted.read(caller));
      return wanted.isFresh(answer) ? { answer } : "behind";
    } catch (error) {
      if (this.#breaker.reason !== null) return "open";
      const fault = faultOf(error);
      if (fault === "unreachable" || fault === "schema") this.#pulse.suspect(error, fault);
      return fault;
    }
  }

  #fallBack(reason: FallbackReason): undefined {
    this.#options.counter.countFallback(reason);
  }

  /** Calls that are refused where the replica does not have what they must see. */
  #callerFor({ scopes, isAnyFresh }: Pick<CopyRead<unknown>, "scopes" | "isAnyFresh">): Caller {
    const { reader, seen } = this.#options;
    return {
      call: async (operation, values) => {
        const demand = isAnyFresh ? ANYTHING : { position: seen.position, scopes: scopes ?? [] };
        const { standing, rows } = await reader.read(operation, values, demand);
        this.#check(standing);
        if (standing.isBehind) throw new Behind();
        if (!isAnyFresh) seen.notePosition(standing.position);
        return rows;
      },
    };
  }

  /** Opens the breaker where this is no replica of main. */
  #check(standing: Standing): void {
    const { lineage } = this.#pulse;
    const reason = !standing.isCopy
      ? "it takes writes itself, so it is no replica"
      : lineage !== null && standing.lineage !== lineage
        ? "it is a replica of another database"
        : null;
    if (reason === null) return;
    this.#breaker.open(reason, REFUSED_MS);
    throw new AgentRuntimeError("INTERNAL", `The replica serves no reads: ${reason}.`);
  }
}
