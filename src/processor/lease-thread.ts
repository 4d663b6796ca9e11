import { Worker } from "node:worker_threads";
import type { Logger } from "../service/log-port.ts";
import type { LeaseEvents, LeaseKeeper } from "./lease-loop.ts";
import { ALIVE_EVERY_MS } from "./lease-messages.ts";
import type { LeaseNews, LeaseOrder } from "./lease-messages.ts";

/** A module that renews leases in a thread, and what it needs to know; see `serveLeases`. */
export interface LeaseThreadPlace {
  readonly entry: URL;
  readonly data: unknown;
}

/** What the thread is started with. */
export interface LeaseThreadData {
  readonly data: unknown;
  readonly worker: string;
  readonly namespace: string | undefined;
}

/**
 * Renews leases in a thread of its own, with a connection of its own: also while a handler keeps the
 * event loop busy, and not while the process is frozen.
 */
export class LeaseThread implements LeaseKeeper {
  readonly ready: Promise<void>;
  #onReady: () => void = () => undefined;
  readonly #worker: Worker;
  readonly #alive: NodeJS.Timeout;
  readonly #events: LeaseEvents;
  readonly #log: Logger;
  readonly #openInstead: () => LeaseKeeper;
  readonly #kept = new Set<string>();
  #instead: LeaseKeeper | undefined;
  #isClosed = false;

  constructor(
    { entry, data }: LeaseThreadPlace,
    events: LeaseEvents,
    {
      worker,
      namespace,
      log,
      openInstead,
    }: {
      readonly worker: string;
      readonly namespace: string | undefined;
      readonly log: Logger;
      /** What renews them where there can be no thread. */
      readonly openInstead: () => LeaseKeeper;
    },
  ) {
    this.#events = events;
    this.#log = log;
    this.#openInstead = openInstead;
    this.ready = new Promise((resolve) => (this.#onReady = resolve));
    this.#worker = new Worker(entry, {
      workerData: { data, worker, namespace } satisfies LeaseThreadData,
    });
    this.#worker.unref();
    this.#worker.on("message", (news: LeaseNews) => this.#hear(news));
    this.#worker.on("error", (error) => this.#goOnWithout(error));
    this.#worker.on("exit", () => this.#goOnWithout(undefined));
    this.#alive = setInterval(() => this.#tell({ order: "alive" }), ALIVE_EVERY_MS).unref();
  }

  keep(incarnation: string): void {
    if (this.#isClosed || this.#kept.has(incarnation)) return;
    this.#kept.add(incarnation);
    if (this.#instead === undefined) this.#tell({ order: "keep", incarnation });
    else this.#instead.keep(incarnation);
  }

  drop(incarnation: string): void {
    this.#kept.delete(incarnation);
    if (this.#instead === undefined) this.#tell({ order: "drop", incarnation });
    else this.#instead.drop(incarnation);
  }

  close(): void {
    this.#isClosed = true;
    clearInterval(this.#alive);
    this.#instead?.close();
    void this.#worker.terminate();
    this.#onReady();
  }

  #tell(order: LeaseOrder): void {
    this.#worker.postMessage(order, []);
  }

  #hear(told: LeaseNews): void {
    if (told.news === "up") return this.#onReady();
    // What was dropped meanwhile is nobody's business here any more.
    if (!this.#kept.has(told.incarnation)) return;
    if (told.news === "lost") this.#events.onLost(told.incarnation);
    else this.#events.onBeat(told.incarnation, told.beat);
  }

  /** The thread ended: what it kept is renewed here, so that a long turn of the event loop may lose it. */
  #goOnWithout(error: unknown): void {
    if (this.#isClosed || this.#instead !== undefined) return;
    clearInterval(this.#alive);
    this.#log.warn({ error }, "no thread for leases: handlers must not keep the event loop busy");
    this.#instead = this.#openInstead();
    for (const incarnation of this.#kept) this.#instead.keep(incarnation);
    this.#onReady();
  }
}
