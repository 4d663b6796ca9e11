import { randomUUID } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";
import { backoffMs } from "../service/backoff.ts";
import type { Clock } from "../service/clock.ts";
import type { Logger } from "../service/log-port.ts";
import type { TaskFace } from "../state/task-face.ts";
import type { Task } from "../state/task.ts";

export interface LeadershipOptions {
  readonly tasks: Pick<
    TaskFace,
    "push" | "claim" | "heartbeat" | "checkpoint" | "release" | "stack"
  >;
  /** Of all that say this name one leads. It is a stack of tasks. */
  readonly name: string;
  /** Who this is, for people. */
  readonly worker: string;
  readonly clock: Clock;
  readonly log: Logger;
}

/** How long one claim waits for the leader to go. */
const WAIT_MS = 20_000;
const CALL_MS = 5_000;
const BACKOFF = { firstMs: 250, maxMs: 5_000 };

/**
 * One of several leads: who holds the task of a stack that is never done. The lease of its worker, its epoch, and that one
 * takes over from who was lost, are those of any task: the database decides.
 *
 * Who cannot reach the service goes on: nobody can tell it that another one leads. So what a leader does must do no harm
 * where two do it for a moment.
 */
export class Leadership {
  readonly #options: LeadershipOptions;
  #epoch: bigint | null = null;
  #isKnown = false;

  constructor(options: LeadershipOptions) {
    this.#options = options;
  }

  /** Of its term, higher than that of each leader before; null: it does not lead. */
  get epoch(): bigint | null {
    return this.#epoch;
  }

  /** Whether it stands by, and would be told when the leader goes. */
  get standsBy(): boolean {
    return this.#isKnown && this.#epoch === null;
  }

  /**
   * Runs until `signal` aborts.
   *
   * @param lead is called in each term of its own; its signal aborts when that is over.
   */
  async run(lead: (signal: AbortSignal) => Promise<void>, signal: AbortSignal): Promise<void> {
    let failures = 0;
    while (!signal.aborted) {
      // What an answer that was lost gave to it is nobody's: it comes back under another name.
      const incarnation = randomUUID();
      try {
        const task = await this.#claim(incarnation, signal);
        failures = 0;
        await this.#lead(task, { incarnation, lead, signal });
      } catch (error) {
        if (signal.aborted) return;
        failures += 1;
        this.#isKnown = false;
        this.#options.log.warn({ error, failures }, "who leads is not known for a moment");
        const pauseMs = backoffMs(failures, BACKOFF, Math.random());
        await pause(pauseMs, undefined, { signal }).catch(() => {});
      }
    }
  }

  async #claim(incarnation: string, signal: AbortSignal): Promise<Task> {
    const { tasks, name, worker } = this.#options;
    for (;;) {
      // Two pushed at once do no harm: one of a stack is held at a time.
      const living = await tasks.stack(name, { limit: 1, timeoutMs: CALL_MS, signal });
      if (living.length === 0) {
        await tasks.push(name, { kind: "lead", preempt: "never", timeoutMs: CALL_MS, signal });
      }
      this.#isKnown = true;
      const claim = { worker, incarnation, stacks: [name], waitMs: WAIT_MS };
      const [task] = await tasks.claim({ ...claim, timeoutMs: WAIT_MS + CALL_MS, signal });
      if (task !== undefined) return task;
    }
  }

  async #lead(
    { id, epoch }: Task,
    term: {
      readonly incarnation: string;
      readonly lead: (signal: AbortSignal) => Promise<void>;
      readonly signal: AbortSignal;
    },
  ): Promise<void> {
    const { tasks, worker, log } = this.#options;
    const over = new AbortController();
    const signal = AbortSignal.any([term.signal, over.signal]);
    const end = (): void => over.abort();
    try {
      // A task whose holders are lost again and again without one of these is given to nobody any more.
      await tasks.checkpoint(id, { epoch, resumePoint: { worker }, timeoutMs: CALL_MS, signal });
      this.#epoch = epoch;
      log.info({ epoch: String(epoch) }, "it leads");
      const renewed = this.#renew(id, term.incarnation, signal).finally(end);
      await Promise.all([term.lead(signal).finally(end), renewed]);
    } finally {
      this.#epoch = null;
      await tasks.release(id, { epoch, timeoutMs: CALL_MS }).catch(() => {});
    }
  }

  /** Resolves when it leads no more. */
  async #renew(id: string, incarnation: string, signal: AbortSignal): Promise<void> {
    const { tasks, worker, clock, log } = this.#options;
    let renewedAt = clock.monotonicMs();
    let everyMs = 0;
    while (!signal.aborted) {
      const sentAt = clock.monotonicMs();
      try {
        const call = { incarnation, timeoutMs: CALL_MS, signal };
        const { leaseMs, fenced, cancel } = await tasks.heartbeat(worker, call);
        const isLost = fenced.includes(id) || cancel.includes(id) || sentAt - renewedAt > leaseMs;
        if (isLost) return log.warn({ id }, "it leads no more");
        renewedAt = sentAt;
        everyMs = leaseMs / 3;
      } catch (error) {
        if (!signal.aborted) log.warn({ error }, "the lease could not be renewed; it leads on");
      }
      await pause(Math.max(everyMs, BACKOFF.firstMs), undefined, { signal }).catch(() => {});
    }
  }
}
