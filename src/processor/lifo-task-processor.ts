import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { backoffMs } from "../service/backoff.ts";
import type { Logger } from "../service/log-port.ts";
import { silentLog } from "../service/log.ts";
import { AgentRuntimeError, isUncertain } from "../state/errors.ts";
import type { Json } from "../state/json.ts";
import type { HolderReport, Reported, TaskFace, WorkerBeat } from "../state/task-face.ts";
import type { Task } from "../state/task.ts";
import { failureJson } from "./failure-json.ts";
import { Hold } from "./hold.ts";
import { LeaseLoop } from "./lease-loop.ts";
import type { LeaseEvents, LeaseKeeper } from "./lease-loop.ts";
import { LeaseThread } from "./lease-thread.ts";
import type { LeaseThreadPlace } from "./lease-thread.ts";
import { checkOptions } from "./options.ts";
import type { CheckedOptions, ProcessorOptions } from "./options.ts";
import { Run } from "./run.ts";

/**
 * Does one task; what it returns is the task's result. If it throws, the task is retried as long as its
 * policy allows.
 */
export type TaskHandler = (task: Task, run: Run) => Promise<unknown> | unknown;

export interface ProcessorParts {
  readonly tasks: TaskFace;
  /** Where leases are renewed off the event loop; unsaid: on it. */
  readonly leaseThread?: LeaseThreadPlace | undefined;
  readonly log?: Logger | undefined;
  /** What has to be before it claims anything; unsaid: nothing. */
  readonly ready?: Promise<void> | undefined;
  /** Called once, when it has stopped. */
  readonly onStopped?: (processor: LifoTaskProcessor) => void;
}

/** The pauses after claims that failed. */
const CLAIM_RETRY = { firstMs: 100, maxMs: 5_000 };

/** How long a task that its handler did not end in time may take to be given back. */
const GIVE_BACK_MS = 2_000;

/**
 * Works on tasks as one worker: of each stack the newest first, then back to the one below.
 *
 * Nothing is fetched that does not run at once: what comes later may be newer. The next task comes with the
 * answer to the report of the one before.
 */
export class LifoTaskProcessor {
  readonly #tasks: TaskFace;
  readonly #handler: TaskHandler;
  readonly #options: CheckedOptions;
  readonly #log: Logger;
  readonly #leases: LeaseKeeper;
  readonly #onStopped: ProcessorParts["onStopped"];
  readonly #holds = new Map<string, Hold>();
  readonly #stopping = new AbortController();
  readonly #ended = new AbortController();
  #incarnation = randomUUID();
  /** The claim that is under way. */
  #claiming = new AbortController();
  #busy = 0;
  #onFree: (() => void) | undefined;
  #onIdle: (() => void) | undefined;
  readonly #claims: Promise<void>;
  #stopped: Promise<void> | undefined;

  constructor(parts: ProcessorParts, handler: TaskHandler, options: ProcessorOptions = {}) {
    if (typeof handler !== "function") {
      const why = "the handler must be a function: (task, run) => result";
      throw new AgentRuntimeError("INVALID_REQUEST", why, { field: "handler" });
    }
    this.#options = checkOptions(options);
    this.#tasks = parts.tasks;
    this.#handler = handler;
    this.#log = parts.log ?? silentLog;
    this.#onStopped = parts.onStopped;
    this.#leases = this.#openLeases(parts.leaseThread);
    this.#leases.keep(this.#incarnation);
    this.#claims = this.#claimAll(parts.ready);
  }

  /** The name that its leases are under. */
  get worker(): string {
    return this.#options.worker;
  }

  /** Tasks that it holds now. */
  get running(): number {
    return this.#holds.size;
  }

  /**
   * Takes nothing new, lets what runs come to its end or to its next checkpoint, and gives back what does
   * not in time. Safe twice.
   */
  stop({ drainMs = this.#options.drainMs }: { readonly drainMs?: number } = {}): Promise<void> {
    this.#stopped ??= this.#stop(drainMs);
    return this.#stopped;
  }

  async #stop(drainMs: number): Promise<void> {
    this.#stopping.abort();
    this.#claiming.abort();
    this.#onFree?.();
    for (const hold of this.#holds.values()) hold.askForCheckpoint({ isStopping: true });
    await within(drainMs, this.#idle());
    const givenBack = [...this.#holds.values()].map((hold) => this.#giveBack(hold));
    await Promise.all([...givenBack, within(GIVE_BACK_MS, this.#claims)]);
    this.#ended.abort();
    this.#leases.close();
    this.#onStopped?.(this);
  }

  async #idle(): Promise<void> {
    await this.#claims;
    if (this.#busy > 0) await new Promise<void>((resolve) => (this.#onIdle = resolve));
  }

  /** Takes as many as handlers are free, again and again. */
  async #claimAll(ready: Promise<void> | undefined): Promise<void> {
    let failures = 0;
    const { signal } = this.#stopping;
    await this.#leases.ready; // a handler may keep the event loop busy from its first moment on
    if (!signal.aborted) await Promise.race([ready, once(signal, "abort")]);
    while (!signal.aborted) {
      const free = this.#options.concurrency - this.#busy;
      if (free <= 0) {
        await new Promise<void>((resolve) => (this.#onFree = resolve));
        continue;
      }
      try {
        await this.#claim(free);
        failures = 0;
      } catch (error) {
        if (signal.aborted) return;
        if (this.#claiming.signal.aborted) continue;
        failures++;
        if (isUncertain(error)) this.#goOnAsAnother();
        const retryInMs = backoffMs(failures, CLAIM_RETRY, Math.random());
        this.#log.warn(
          { worker: this.worker, failures, retryInMs, error },
          "could not claim tasks",
        );
        await sleep(retryInMs, undefined, { signal }).catch(() => undefined);
      }
    }
  }

  async #claim(limit: number): Promise<void> {
    const incarnation = this.#incarnation;
    this.#busy += limit;
    let tasks: readonly Task[] = [];
    try {
      const { waitMs } = this.#options;
      const { signal } = (this.#claiming = new AbortController());
      tasks = await this.#tasks.claim({ ...this.#order(incarnation), limit, waitMs, signal });
    } finally {
      this.#busy -= limit - tasks.length;
    }
    const work = tasks.map((task) => this.#workOn(task, incarnation));
    if (this.#stopping.signal.aborted) await Promise.all(work);
  }

  /**
   * One task after the other, each claimed with the report of the one before. What comes when nothing new is to
   * be begun is given back.
   */
  async #workOn(first: Task, firstIncarnation: string): Promise<void> {
    let next: { task: Task; incarnation: string } | undefined = {
      task: first,
      incarnation: firstIncarnation,
    };
    while (next !== undefined && !this.#stopping.signal.aborted)
      next = await this.#one(next.task, next.incarnation);
    if (next !== undefined) await this.#giveBack(this.#hold(next.task, next.incarnation));
    this.#busy--;
    this.#onFree?.();
    if (this.#busy === 0) this.#onIdle?.();
  }

  async #one(
    task: Task,
    incarnation: string,
  ): Promise<{ task: Task; incarnation: string } | undefined> {
    const hold = this.#hold(task, incarnation);
    this.#holds.set(task.id, hold);
    this.#leases.keep(incarnation); // dropped, if it was lost while the claim was on its way
    try {
      const outcome = await this.#handle(hold);
      const isLast = this.#stopping.signal.aborted;
      const asker = this.#incarnation;
      const told = await this.#tellEnd(hold, outcome, isLast ? {} : { next: this.#next(asker) });
      const [claimed] = told?.tasks ?? [];
      return claimed === undefined ? undefined : { task: claimed, incarnation: asker };
    } catch (error) {
      this.#log.error({ task: task.id, error }, "how a task ended could not be told");
      this.#goOnAsAnother();
      return undefined;
    } finally {
      if (this.#holds.get(task.id) === hold) this.#holds.delete(task.id);
      this.#dropUnused(incarnation);
    }
  }

  #hold(task: Task, incarnation: string): Hold {
    const { namespace } = this.#options;
    const where = namespace === undefined ? {} : { namespace };
    const onFenced = (): void => void this.#leave(hold);
    const hold: Hold = new Hold(this.#tasks, task, { incarnation, onFenced, ...where });
    return hold;
  }

  /**
   * It was refused as not its holder's. Where the lease seemed over while a heartbeat was just renewing it, the
   * task is still held by this incarnation, and would be for as long as that lives.
   */
  async #leave({ task, incarnation, where }: Hold): Promise<void> {
    const now = await this.#tasks.get(task.id, where).catch(() => undefined);
    const mayBeHeld =
      now === undefined ||
      (now.epoch === task.epoch && ["working", "canceling"].includes(now.phase));
    if (mayBeHeld && incarnation === this.#incarnation) this.#goOnAsAnother();
  }

  async #handle(hold: Hold): Promise<{ readonly value: unknown } | { readonly thrown: unknown }> {
    try {
      return { value: await this.#handler(hold.task, new Run(hold)) };
    } catch (thrown) {
      return { thrown };
    }
  }

  /** What the handler came to, told; what is no JSON is told as a failure that would come again. */
  async #tellEnd(
    hold: Hold,
    outcome: { readonly value: unknown } | { readonly thrown: unknown },
    more: Pick<HolderReport, "next">,
  ): Promise<Reported | undefined> {
    const { task, where } = hold;
    const report = { ...where, ...more, epoch: task.epoch };
    const tell = (send: () => Promise<Reported>): Promise<Reported | undefined> =>
      hold.tell(send, { signal: this.#ended.signal, onLost: () => this.#goOnAsAnother() });
    const fail = (error: Json, retry?: boolean): Promise<Reported | undefined> =>
      tell(() =>
        this.#tasks.fail(task.id, { ...report, error, ...(retry === false ? { retry } : {}) }),
      );
    try {
      if (hold.interruption?.reason === "canceled")
        return await tell(() => this.#tasks.release(task.id, report));
      if (hold.verdict !== undefined) {
        const { report: kind, body } = hold.verdict;
        return await tell(() => this.#tasks[kind](task.id, { ...report, ...body }));
      }
      if ("thrown" in outcome) return await fail(failureJson(outcome.thrown), mayRetry(outcome));
      const result = (outcome.value ?? null) as Json;
      return await tell(() => this.#tasks.complete(task.id, { ...report, result }));
    } catch (error) {
      if (!(error instanceof AgentRuntimeError) || !isBadData(error)) throw error;
      return await fail(failureJson(error), false);
    }
  }

  /** The time of its handler is over: others go on with its task. */
  async #giveBack(hold: Hold): Promise<void> {
    hold.interrupt("stopped", { isHeld: true });
    if (this.#holds.get(hold.task.id) === hold) this.#holds.delete(hold.task.id);
    if (!hold.isHeld) return;
    const { task, where } = hold;
    const report = { ...where, epoch: task.epoch, timeoutMs: GIVE_BACK_MS };
    const signal = AbortSignal.timeout(GIVE_BACK_MS);
    await hold
      .tell(() => this.#tasks.release(task.id, report), { signal, onLost: () => undefined })
      .catch((error: unknown) => this.#log.warn({ task: task.id, error }, "not given back"));
  }

  #order(incarnation: string): NonNullable<HolderReport["next"]> & { namespace?: string } {
    const { namespace } = this.#options;
    return { ...this.#next(incarnation), ...(namespace === undefined ? {} : { namespace }) };
  }

  #next(incarnation: string): NonNullable<HolderReport["next"]> {
    const { worker, stacks, kinds } = this.#options;
    return { worker, incarnation, stacks, kinds, limit: 1 };
  }

  /**
   * Of tasks that may have been claimed without an answer nobody here knows. Under another incarnation, the
   * lease that they are held by ends as soon as what is known of it has ended: a claim would go on with it.
   */
  #goOnAsAnother(): void {
    const former = this.#incarnation;
    this.#incarnation = randomUUID();
    this.#claiming.abort();
    this.#leases.keep(this.#incarnation);
    this.#dropUnused(former);
  }

  #dropUnused(incarnation: string): void {
    if (incarnation === this.#incarnation) return;
    const isUsed = [...this.#holds.values()].some(
      (hold) => hold.isHeld && hold.incarnation === incarnation,
    );
    if (!isUsed) this.#leases.drop(incarnation);
  }

  #openLeases(place: LeaseThreadPlace | undefined): LeaseKeeper {
    const { worker, namespace } = this.#options;
    const where = namespace === undefined ? {} : { namespace };
    const events: LeaseEvents = {
      onBeat: (incarnation, beat) => void this.#heed(incarnation, beat),
      onLost: (incarnation) => this.#lose(incarnation),
    };
    const openLoop = (): LeaseKeeper =>
      new LeaseLoop(
        (incarnation, timeoutMs) =>
          this.#tasks.heartbeat(worker, { ...where, incarnation, timeoutMs }),
        events,
      );
    if (place === undefined) return openLoop();
    const log = this.#log;
    return new LeaseThread(place, events, { worker, namespace, log, openInstead: openLoop });
  }

  /** What a heartbeat told is about runs that were there when it was sent; a newer one of that task is left alone. */
  async #heed(incarnation: string, { cancel, preempt, fenced }: WorkerBeat): Promise<void> {
    const held = (id: string): Hold | undefined => {
      const hold = this.#holds.get(id);
      return hold?.incarnation === incarnation ? hold : undefined;
    };
    for (const id of cancel) held(id)?.interrupt("canceled");
    for (const id of preempt) held(id)?.askForCheckpoint();
    for (const id of fenced) {
      const hold = held(id);
      if (hold === undefined) continue;
      const now = await this.#tasks.get(id, hold.where).catch(() => undefined);
      if (now !== undefined && now.epoch !== hold.task.epoch) hold.interrupt("fenced");
    }
  }

  /** Nothing of what is held under it counts any more, also where a late heartbeat came through after all. */
  #lose(incarnation: string): void {
    this.#log.warn({ worker: this.worker }, "a lease was lost: it could not be renewed in time");
    if (incarnation === this.#incarnation) this.#goOnAsAnother();
    for (const hold of this.#holds.values())
      if (hold.incarnation === incarnation) hold.interrupt("fenced");
    this.#leases.drop(incarnation);
  }
}

async function within(ms: number, awaited: Promise<void>): Promise<void> {
  const over = new AbortController();
  const late = sleep(ms, undefined, { signal: over.signal }).catch(() => undefined);
  await Promise.race([late, awaited]);
  over.abort();
}

/** A failure that says it would come again need not be tried again. */
function mayRetry({ thrown }: { readonly thrown: unknown }): boolean {
  return !(thrown instanceof AgentRuntimeError && thrown.code === "EFFECT_IN_DOUBT");
}

function isBadData({ code }: AgentRuntimeError): boolean {
  return ["INVALID_DATA", "INVALID_REQUEST", "PAYLOAD_TOO_LARGE", "INVALID_JSON"].includes(code);
}
