import { setTimeout as pause } from "node:timers/promises";
import { linesOf, KubernetesError } from "../kubernetes/client.ts";
import type { KubernetesClient } from "../kubernetes/client.ts";
import { backoffMs } from "../service/backoff.ts";
import type { Clock } from "../service/clock.ts";
import type { Logger } from "../service/log-port.ts";
import type { FactSink } from "../state/fact-sink.ts";
import { MAX_FACTS } from "../state/lifecycle-fact.ts";
import type { LifecycleFact } from "../state/lifecycle-fact.ts";
import { collectionOf } from "./kind.ts";
import type { Followed, Kind } from "./kind.ts";
import { Memory } from "./memory.ts";
import { deletedFact } from "./pod-facts.ts";
import type { PodIdentity, PodPlace } from "./pod-facts.ts";
import type { ObjectPage, PodObject, WatchEvent } from "./pod-object.ts";

export interface ReflectorOptions<Item extends Followed = PodObject> {
  readonly kind: Kind<Item>;
  readonly client: Pick<KubernetesClient, "get" | "open">;
  readonly sink: FactSink;
  /** Those that somebody holds for there; what the cluster does not have of them is told to be deleted. Null: none. */
  readonly known:
    ((isThere: (podUid: string) => boolean, signal: AbortSignal) => AsyncIterable<PodPlace>) | null;
  /** Null: all of them. */
  readonly namespace: string | null;
  /** Empty: all of them. */
  readonly selector: string;
  /** Is shown each form of each object that is there; unsaid: nobody. */
  readonly onObject?: (object: Item) => void;
  readonly clock: Clock;
  readonly log: Logger;
  /** Objects of a page; default 250. */
  readonly page?: number;
  /** A watch without a byte for that long is begun again; default 90,000. */
  readonly silenceMs?: number;
  /** A watch ends by itself after about that; default 270. */
  readonly watchSeconds?: number;
  readonly backoff?: { readonly firstMs: number; readonly maxMs: number };
}

export interface ReflectorFigures {
  /** Objects that are there. */
  readonly pods: number;
  readonly events: number;
  readonly facts: number;
  readonly lists: number;
  readonly watches: number;
  /** Attempts in a row that failed. */
  readonly failures: number;
  /** Whether it has seen all pods since it began. */
  readonly synced: boolean;
}

const OVERLOADED = [0, 429, 503];

/** Those of several, each of another namespace. */
export function sumOf(all: readonly ReflectorFigures[]): ReflectorFigures {
  const sum = (name: Exclude<keyof ReflectorFigures, "synced">): number =>
    all.reduce((total, figures) => total + figures[name], 0);
  return {
    pods: sum("pods"),
    events: sum("events"),
    facts: sum("facts"),
    lists: sum("lists"),
    watches: sum("watches"),
    failures: Math.max(...all.map(({ failures }) => failures)),
    synced: all.every(({ synced }) => synced),
  };
}

/**
 * Tells what happens to pods, or to objects of another kind, as the API server has it: lists them, follows the changes, and lists again where changes
 * may have been missed. Two of them tell the same facts, which does no harm: neither does one that tells them late.
 */
export class Reflector<Item extends Followed = PodObject> {
  readonly #options: Required<ReflectorOptions<Item>>;
  readonly #memory: Memory<Item>;
  #version: string | null = null;
  #events = 0;
  /** They are remembered as told: what an end of `run` comes between is told by the next one. */
  readonly #untold: LifecycleFact[] = [];
  #facts = 0;
  #lists = 0;
  /** What was deleted while nobody looked is known. */
  #swept = false;
  #watches = 0;
  #failures = 0;

  constructor(options: ReflectorOptions<Item>) {
    this.#options = {
      page: 250,
      silenceMs: 90_000,
      watchSeconds: 270,
      backoff: { firstMs: 250, maxMs: 30_000 },
      onObject: () => {},
      ...options,
    };
    this.#memory = new Memory(options.kind);
  }

  get figures(): ReflectorFigures {
    return {
      pods: this.#memory.size,
      events: this.#events,
      facts: this.#facts,
      lists: this.#lists,
      watches: this.#watches,
      failures: this.#failures,
      synced: this.#lists > 0,
    };
  }

  /**
   * Runs until it is told to end, or the API server does not know its kind any more, where it may not. Run again it
   * goes on where it was.
   */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        await this.#tell([], signal);
        this.#version ??= await this.#list(signal);
        if (!this.#swept) await this.#sweep(signal);
        await this.#watch(this.#version, signal);
        // One that a proxy ends at once is not begun again at once.
        await pause(this.#options.backoff.firstMs, undefined, { signal });
      } catch (error) {
        if (signal.aborted || this.#hasVanished(error)) return;
        await this.#recover(error, signal);
      }
    }
  }

  /** Tells that all that were there are gone. */
  async tellGone(signal: AbortSignal): Promise<void> {
    const now = this.#options.clock.now();
    const all = this.#memory.missing(new Set());
    await this.#tell(
      all.flatMap((identity) => this.#memory.remove(identity, now)),
      signal,
    );
  }

  #hasVanished(error: unknown): boolean {
    const isGone = error instanceof KubernetesError && error.status === 404;
    if (!this.#options.kind.mayVanish || !isGone) return false;
    this.#version = null;
    return true;
  }

  /**
   * What is missed may be gone from the API server's memory, or be what it cannot tell: then only a list helps. One that
   * cannot be reached, or has too much to do, is asked for no more than the rest.
   */
  async #recover(failure: unknown, signal: AbortSignal): Promise<void> {
    const { log, backoff } = this.#options;
    const { status = 0, retryAfterMs = 0 } = failure instanceof KubernetesError ? failure : {};
    if (!OVERLOADED.includes(status)) this.#version = null;
    this.#failures += 1;
    const pauseMs = Math.max(backoffMs(this.#failures, backoff, Math.random()), retryAfterMs);
    const why = failure instanceof Error ? failure.message : String(failure);
    const what = `${this.#options.kind.plural} are not followed for a moment`;
    log.warn({ why, failures: this.#failures, pauseMs }, what);
    await pause(pauseMs, undefined, { signal }).catch(() => {});
  }

  get #path(): string {
    return collectionOf(this.#options.kind, this.#options.namespace);
  }

  get #selected(): Record<string, string> {
    const { selector } = this.#options;
    return selector === "" ? {} : { labelSelector: selector };
  }

  /** @returns the version from which on changes are to be followed. */
  async #list(signal: AbortSignal): Promise<string> {
    const { client, page, silenceMs, clock } = this.#options;
    const listed = new Set<string>();
    let next: string | undefined;
    let version = "";
    do {
      const query = { ...this.#selected, limit: String(page), ...(next ? { continue: next } : {}) };
      const answer = (await client.get(this.#path, {
        query,
        silenceMs,
        signal,
      })) as ObjectPage<Item>;
      for (const { metadata } of answer.items) listed.add(metadata.uid);
      await this.#tell(
        answer.items.flatMap((item) => this.#memory.take(item, clock.now(), true)),
        signal,
      );
      for (const item of answer.items) this.#options.onObject(item);
      version = answer.metadata.resourceVersion;
      next = answer.metadata.continue;
    } while (next);
    for (const identity of this.#memory.missing(listed)) await this.#lost(identity, signal);
    this.#lists += 1;
    this.#swept = false;
    return version;
  }

  /** Where it fails, pods are followed all the same; it is tried again with the next watch. */
  async #sweep(signal: AbortSignal): Promise<void> {
    const { kind, known, namespace, clock, log } = this.#options;
    if (known === null) return;
    const there = this.#memory.uids();
    try {
      for await (const place of known((podUid) => there.has(podUid), signal)) {
        const isOurs = namespace === null || place.namespace === namespace;
        if (!isOurs || (await this.#isThere(place, signal))) continue;
        const identity = { source: kind.source, node: null, labels: {}, ...place };
        await this.#tell([deletedFact(identity, clock.now())], signal);
      }
      this.#swept = true;
    } catch (error) {
      signal.throwIfAborted();
      log.warn({ error }, `whether known ${kind.plural} are gone is asked again later`);
    }
  }

  /** It is in no list: gone, or it has lost the label. */
  async #lost(identity: PodIdentity, signal: AbortSignal): Promise<void> {
    const isThere = await this.#isThere(identity, signal);
    const facts = this.#memory.remove(identity, this.#options.clock.now());
    if (!isThere) await this.#tell(facts, signal);
  }

  async #watch(from: string, signal: AbortSignal): Promise<void> {
    const { client, silenceMs, watchSeconds } = this.#options;
    // Many that began together are not to end together.
    const seconds = Math.ceil(watchSeconds * (0.8 + 0.4 * Math.random()));
    const query = {
      ...this.#selected,
      watch: "true",
      allowWatchBookmarks: "true",
      resourceVersion: from,
      timeoutSeconds: String(seconds),
    };
    const answer = await client.open(this.#path, { query, silenceMs, signal });
    this.#watches += 1;
    try {
      for await (const lines of linesOf(answer)) {
        const events = lines.map((line) => JSON.parse(line) as WatchEvent<Item>);
        await this.#see(events, signal);
        this.#failures = 0;
      }
    } finally {
      answer.destroy();
    }
  }

  /** What came together is told together; what was seen before a failure is told all the same. */
  async #see(events: readonly WatchEvent<Item>[], signal: AbortSignal): Promise<void> {
    const facts: LifecycleFact[] = [];
    let version = this.#version;
    let failure: Error | undefined;
    for (const event of events) {
      try {
        facts.push(...(await this.#factsOf(event, signal)));
      } catch (error) {
        failure = error instanceof Error ? error : new Error(String(error));
        break;
      }
      version = event.object.metadata.resourceVersion ?? version;
      this.#events += 1;
    }
    await this.#tell(facts, signal);
    this.#version = version;
    if (failure !== undefined) throw failure;
  }

  async #factsOf(
    { type, object }: WatchEvent<Item>,
    signal: AbortSignal,
  ): Promise<LifecycleFact[]> {
    const now = this.#options.clock.now();
    if (type === "ERROR") throw errorOf(object);
    if (type === "BOOKMARK") return [];
    if (type !== "DELETED") {
      this.#options.onObject(object);
      return this.#memory.take(object, now);
    }
    // One that has lost the label is told as deleted, too.
    const { uid, name, namespace, deletionTimestamp } = object.metadata;
    const identity = { podUid: uid, podName: name, namespace };
    if (deletionTimestamp !== undefined || !(await this.#isThere(identity, signal))) {
      return this.#memory.drop(object, now);
    }
    this.#memory.forget(object);
    return [];
  }

  async #isThere({ podUid, podName, namespace }: PodPlace, signal: AbortSignal): Promise<boolean> {
    const { client, silenceMs, kind } = this.#options;
    const path = `${collectionOf(kind, namespace)}/${encodeURIComponent(podName)}`;
    try {
      const { metadata } = (await client.get(path, { silenceMs, signal })) as Item;
      return metadata.uid === podUid;
    } catch (error) {
      if (error instanceof KubernetesError && error.status === 404) return false;
      throw error;
    }
  }

  /** Again and again until they were taken: what was seen once is not told again by the API server. */
  async #tell(facts: readonly LifecycleFact[], signal: AbortSignal): Promise<void> {
    const { sink, log, backoff } = this.#options;
    for (const fact of facts) this.#untold.push(fact);
    for (let failures = 0; this.#untold.length > 0;) {
      const some = this.#untold.slice(0, MAX_FACTS);
      try {
        await sink.publish(some, signal);
        this.#untold.splice(0, some.length);
        this.#facts += some.length;
        failures = 0;
      } catch (error) {
        signal.throwIfAborted();
        failures += 1;
        log.warn({ error, facts: some.length }, "facts were not taken; they are told again");
        await pause(backoffMs(failures, backoff, Math.random()), undefined, { signal });
      }
    }
  }
}

function errorOf(object: unknown): KubernetesError {
  const { code = 0, message = "the watch broke off" } = object as {
    readonly code?: number;
    readonly message?: string;
  };
  return new KubernetesError(code, message);
}
