import { AgentRuntimeError } from "../state/errors.ts";
import { systemClock } from "./clock.ts";
import type { Logger } from "./log-port.ts";

/** A part that lives: it is started once, and stopped once. */
export interface Service {
  readonly name: string;
  start(): Promise<void>;
  stop(): Promise<void>;
}

export interface ServicesOptions {
  /** For all of them together, from the first that is told to stop. */
  readonly graceMs: number;
  readonly log: Logger;
}

/** Starts services in order and stops them in reverse, within a bounded time. */
export class Services {
  readonly #services: readonly Service[];
  readonly #options: ServicesOptions;
  readonly #begun: Service[] = [];
  #starting: Promise<void> | undefined;
  #stopping: Promise<readonly string[]> | undefined;

  constructor(services: readonly Service[], options: ServicesOptions) {
    this.#services = services;
    this.#options = options;
  }

  /**
   * Starts each after the one before is ready. Where one fails, those before it are stopped again.
   *
   * @throws what the failing service threw; CANCELED where `stop` came first.
   */
  start(): Promise<void> {
    this.#starting ??= this.#startAll();
    return this.#starting;
  }

  /**
   * Stops what was started, the newest first; a start that is under way is let finish its current
   * service. Safe twice: both get the same answer.
   *
   * @returns the names of those that failed to stop, or did not stop in time.
   */
  stop(): Promise<readonly string[]> {
    this.#stopping ??= this.#stopAll();
    return this.#stopping;
  }

  async #startAll(): Promise<void> {
    for (const service of this.#services) {
      if (this.#stopping !== undefined) {
        throw new AgentRuntimeError("CANCELED", "It was stopped before it had started.");
      }
      // One that fails half-way may hold something already: it is stopped as well.
      this.#begun.push(service);
      try {
        await service.start();
      } catch (error) {
        // A stop that is under way waits for this start: waiting for it as well would be for ever.
        if (this.#stopping === undefined) {
          this.#stopping = this.#stopBegun(this.#options.graceMs);
          await this.#stopping;
        }
        throw error;
      }
      this.#options.log.debug({ service: service.name }, "started");
    }
  }

  async #stopAll(): Promise<readonly string[]> {
    const starting = this.#starting?.catch(() => undefined);
    const from = systemClock.monotonicMs();
    // A start that hangs must not keep the rest from being stopped.
    await within(starting, this.#options.graceMs / 2);
    return this.#stopBegun(this.#options.graceMs - (systemClock.monotonicMs() - from));
  }

  async #stopBegun(timeMs: number): Promise<readonly string[]> {
    const late: string[] = [];
    let leftMs = timeMs;
    for (const [index, service] of [...this.#begun.entries()].toReversed()) {
      // Half of what is left, so that one that hangs leaves time to those below it.
      const shareMs = index === 0 ? leftMs : leftMs / 2;
      const from = systemClock.monotonicMs();
      const stopped = await this.#stopOne(service, shareMs);
      leftMs = Math.max(0, leftMs - (systemClock.monotonicMs() - from));
      if (!stopped) late.push(service.name);
    }
    return late;
  }

  async #stopOne(service: Service, shareMs: number): Promise<boolean> {
    const { log } = this.#options;
    try {
      const inTime = await within(service.stop(), shareMs);
      if (inTime) log.debug({ service: service.name }, "stopped");
      else
        log.warn({ service: service.name, waitedMs: Math.round(shareMs) }, "did not stop in time");
      return inTime;
    } catch (error) {
      log.error({ service: service.name, error }, "failed to stop");
      return false;
    }
  }
}

/** Whether it settled within the time; throws what it threw. */
async function within(promise: Promise<void> | undefined, timeMs: number): Promise<boolean> {
  if (promise === undefined) return true;
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<false>((resolve) => {
    timer = setTimeout(() => resolve(false), timeMs);
  });
  try {
    return await Promise.race([promise.then(() => true as const), late]);
  } finally {
    clearTimeout(timer);
  }
}
