import { setTimeout as pause } from "node:timers/promises";
import type { BusEvent } from "../containerd/bus-event.ts";
import type { Containerd } from "../containerd/containerd.ts";
import type { ContainerRecord } from "../containerd/records.ts";
import type { Subscription } from "../containerd/subscription.ts";
import type { Clock } from "../service/clock.ts";
import type { Logger } from "../service/log-port.ts";
import { Loop } from "../service/loop.ts";
import type { FactSink } from "../state/fact-sink.ts";
import type { LifecycleFact } from "../state/lifecycle-fact.ts";
import type { BelievedRun, Beliefs } from "./beliefs.ts";
import { CaptorFigures } from "./figures.ts";
import { Roster } from "./roster.ts";
import { survey } from "./survey.ts";

export interface CaptorOptions {
  readonly containerd: Containerd;
  readonly sink: Pick<FactSink, "publish">;
  /** Unsaid: what was removed while nobody looked, and was not known here, is never told. */
  readonly beliefs?: Beliefs;
  readonly node: string;
  readonly isOurs: (runtime: string) => boolean;
  readonly relistMs: number;
  /** Events that wait here; one more, and the bus is left and the node listed anew. */
  readonly maxQueue?: number;
  readonly maxContainers?: number;
  readonly clock: Clock;
  readonly log: Logger;
}

/** An event that is to be handled, and the record of the container that it says was made. */
interface Waiting {
  readonly event: BusEvent;
  readonly record: Promise<ContainerRecord | null> | undefined;
}

const MARK_MS = 10_000;
const SINK_AGAIN_MS = 500;
const INHERIT_MS = 5_000;
const LIST_AGAIN_MS = 5_000;

/**
 * Tells what happens to the containers of a node's pods.
 *
 * It joins the bus first and lists then: what happens meanwhile comes twice, and is told once. The bus loses
 * events, so the node is listed again after each break, and now and then.
 */
export class Captor {
  readonly figures = new CaptorFigures();
  readonly #options: Required<Omit<CaptorOptions, "beliefs">> & Pick<CaptorOptions, "beliefs">;
  readonly #roster: Roster;
  readonly #loop: Loop;
  readonly #foreign = new Set<string>();
  #queue: Waiting[] = [];
  #wake: () => void = () => undefined;
  #believing: Promise<void> = Promise.resolve();
  #inherited: readonly BelievedRun[] | undefined;
  /** What was removed before this process began is known. */
  #hasDoubted = false;

  constructor(options: CaptorOptions) {
    this.#options = { maxQueue: 20_000, maxContainers: 20_000, ...options };
    const { node, isOurs, log } = options;
    const { maxContainers } = this.#options;
    this.#roster = new Roster(
      { node, isOurs, maxContainers },
      {
        onIgnored: (why) => this.figures.countIgnored(why),
        onDisagreement: (disagreement) => {
          this.figures.disagreements += 1;
          log.warn({ ...disagreement }, "a container ended twice; the first end was told");
        },
      },
    );
    this.#loop = new Loop({
      name: "captor",
      runOnce: (signal) => this.#session(signal),
      pauseMs: 100,
      backoff: { firstMs: 100, maxMs: 2_000 },
      log,
    });
  }

  start(): void {
    this.#loop.start();
  }

  async stop(): Promise<void> {
    const stopped = this.#loop.stop();
    this.#wake();
    await stopped;
    await this.#believing;
  }

  /** Tells what is there now, without the bus. */
  async listOnce(signal: AbortSignal): Promise<void> {
    await this.#survey(signal);
    await this.#doubt(signal);
  }

  /** As long as the bus is there. True: once more at once. */
  async #session(signal: AbortSignal): Promise<boolean> {
    const { containerd, log } = this.#options;
    this.#queue = [];
    const subscription = containerd.subscribe({
      onEvent: (event) => this.#take(event, subscription),
      onUnreadable: (topic, error) => {
        this.figures.countIgnored("unreadable");
        log.warn({ topic, error }, "an event of containerd cannot be read");
      },
    });
    const over = new AbortController();
    void subscription.ended.then(() => over.abort());
    const ends = AbortSignal.any([signal, over.signal]);
    ends.addEventListener("abort", () => this.#wake(), { once: true });
    try {
      await subscription.mark(MARK_MS);
      this.figures.joined();
      log.info({ containers: this.#roster.size }, "joined containerd's bus");
      await this.#follow(subscription, { signal, ends });
    } finally {
      this.figures.left();
      subscription.close();
    }
    if (!signal.aborted) log.warn({ why: await subscription.ended }, "left containerd's bus");
    return false;
  }

  async #follow(
    subscription: Subscription,
    { signal, ends }: { readonly signal: AbortSignal; readonly ends: AbortSignal },
  ): Promise<void> {
    const { clock, relistMs } = this.#options;
    while (!ends.aborted) {
      this.#inherited ??= await this.#inherit(ends);
      const isListed = await this.#survey(signal).then(
        () => true,
        (error: unknown) => this.#postpone(error, ends),
      );
      if (isListed) this.#believing = this.#believing.then(() => this.#doubt(signal));
      const until = clock.monotonicMs() + (isListed ? relistMs : LIST_AGAIN_MS);
      while (!ends.aborted && clock.monotonicMs() < until) {
        if (this.#queue.length > 0) await this.#drain(signal);
        else await this.#idle(until - clock.monotonicMs());
      }
      // A bus that stands still says nothing; so it is asked.
      if (!ends.aborted) await subscription.mark(MARK_MS);
    }
    await this.#drain(signal);
  }

  /** While the bus is there, what happens is told all the same: a listing that fails may fail for long. */
  #postpone(error: unknown, ends: AbortSignal): false {
    if (!ends.aborted)
      this.#options.log.warn({ error }, "the node could not be listed; once more soon");
    return false;
  }

  /**
   * What was alive before this process began, asked before anything is told: once the end of a sandbox is, nobody holds
   * what had gone from it unseen for alive any more. Not waited for long, as the state manager may be away.
   */
  async #inherit(ends: AbortSignal): Promise<readonly BelievedRun[]> {
    const { beliefs, log } = this.#options;
    if (beliefs === undefined) return [];
    const signal = AbortSignal.any([ends, AbortSignal.timeout(INHERIT_MS)]);
    try {
      return await beliefs.aliveHere(() => false, signal);
    } catch (error) {
      if (!ends.aborted) log.warn({ error }, "what was alive before is asked for later");
      return [];
    }
  }

  #take(event: BusEvent, subscription: Subscription): void {
    this.figures.countEvent(event.topic);
    if (this.#queue.length >= this.#options.maxQueue) {
      this.figures.overflows += 1;
      subscription.close();
      return;
    }
    this.#queue.push({ event, record: this.#early(event) });
    this.#wake();
  }

  /** The record of a container that has just been made: by the time its event is handled it may be gone. */
  #early({ topic, containerId, isOwn }: BusEvent): Waiting["record"] {
    if (topic !== "/containers/create" || !isOwn) return undefined;
    const record = this.#options.containerd.container(containerId);
    record.catch(() => undefined); // told where it is awaited
    return record;
  }

  async #idle(ms: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, Math.max(1, ms));
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.#wake = () => undefined;
  }

  /** What waits, as one batch. */
  async #drain(signal: AbortSignal): Promise<void> {
    const events = this.#queue;
    this.#queue = [];
    const facts: LifecycleFact[] = [];
    try {
      for (const waiting of events) facts.push(...(await this.#factsOf(waiting)));
    } finally {
      await this.#publish(facts, signal);
    }
  }

  async #factsOf({ event, record }: Waiting): Promise<readonly LifecycleFact[]> {
    const { containerId, topic, isOwn } = event;
    const isGone = topic === "/containers/delete";
    if (this.#foreign.has(containerId)) {
      if (isGone) this.#foreign.delete(containerId);
      return [];
    }
    const met = !isOwn || isGone ? [] : await this.#meet(containerId, topic, record);
    return [...met, ...this.#roster.tell(event, this.#now())];
  }

  /** Exits and deletes say nothing of the container: so it is known before them. */
  async #meet(
    id: string,
    topic: BusEvent["topic"],
    early: Waiting["record"],
  ): Promise<readonly LifecycleFact[]> {
    if (this.#roster.has(id) && topic !== "/containers/create") return [];
    const record = await (early ?? this.#options.containerd.container(id));
    if (record === null) return [];
    const facts = this.#roster.meet(record, this.#now());
    if (!this.#roster.has(id)) this.#noteForeign(id);
    return facts;
  }

  #noteForeign(id: string): void {
    const [oldest] = this.#foreign;
    if (this.#foreign.size >= this.#options.maxContainers) this.#foreign.delete(oldest!);
    this.#foreign.add(id);
  }

  async #survey(signal: AbortSignal): Promise<void> {
    const { containerd, log } = this.#options;
    const onUnanswered = (container: string, error: unknown): void =>
      log.warn({ container, error }, "how a container ended could not be asked for");
    const options = { at: this.#now(), onUnanswered };
    for await (const facts of survey(containerd, this.#roster, options)) {
      await this.#publish(facts, signal);
    }
    this.figures.listed(this.#options.clock.now(), this.#roster.size);
  }

  /** What the state manager holds for alive here, and is not. It is asked first: what it knows was there before. */
  async #doubt(signal: AbortSignal): Promise<void> {
    const { beliefs, containerd, node, log } = this.#options;
    if (beliefs === undefined) return;
    try {
      // Of pods that are there a container may have gone before we came; what goes after that is seen.
      const isKnown = (uid: string): boolean => this.#hasDoubted && this.#roster.knowsPod(uid);
      const alive = await beliefs.aliveHere(isKnown, signal);
      const believed = [...(this.#inherited ?? []), ...alive];
      const present = new Set((await containerd.containers()).map(({ id }) => id));
      const at = this.#now();
      const gone = believed.filter(({ incarnation }) => !present.has(incarnation));
      const facts = gone.map((run): LifecycleFact => ({
        source: "kata",
        ...run,
        node,
        fact: "delete",
        at,
        labels: {},
      }));
      await this.#publish(facts, signal);
      this.#hasDoubted = true;
      this.#inherited = [];
    } catch (error) {
      if (!signal.aborted)
        log.warn({ error }, "what is believed of this node could not be checked");
    }
  }

  /** Until they are taken: what is told twice does no harm, what is not told does. */
  async #publish(facts: readonly LifecycleFact[], signal: AbortSignal): Promise<void> {
    if (facts.length === 0) return;
    for (;;) {
      try {
        await this.#options.sink.publish(facts, signal);
        this.figures.countFacts(facts);
        return;
      } catch (error) {
        if (signal.aborted) return;
        this.figures.refusals += 1;
        this.#options.log.warn({ facts: facts.length, error }, "facts are not taken; once more");
        await pause(SINK_AGAIN_MS);
      }
    }
  }

  #now(): string {
    return new Date(this.#options.clock.now()).toISOString();
  }
}
