import { setTimeout as pause } from "node:timers/promises";
import { backoffMs } from "../service/backoff.ts";
import { systemClock } from "../service/clock.ts";
import type { Logger } from "../service/log-port.ts";
import { AgentRuntimeError } from "../state/errors.ts";
import type { ServerState, ServerStatus } from "./server-status.ts";
import type { ServerName } from "./servers.ts";
import type { Supervisor } from "./supervisor.ts";

export interface BackgroundOptions {
  readonly name: ServerName;
  readonly log: Logger;
  /**
   * Makes its data where that is missing, or cannot be used for the reason given, and returns who
   * will start it.
   *
   * @param report what it is about, for the status.
   */
  readonly prepare: (input: {
    readonly unusable: string | undefined;
    readonly signal: AbortSignal;
    readonly report: (state: ServerState, reason: string) => void;
  }) => Promise<Supervisor>;
  /** Watches the server, starting or started; resolves with the reason why its data is unusable. */
  readonly watch?: (supervisor: Supervisor, signal: AbortSignal) => Promise<string>;
  /** Never throws. */
  readonly onRestarted: () => void;
}

const BACKOFF = { firstMs: 1_000, maxMs: 60_000 };
/** One that served for so long is well: its next trouble starts the count anew. */
const WELL_AFTER_MS = 60_000;

/** A server that the others do without: it is brought up beside them, for as long as that takes. */
export class BackgroundServer {
  readonly #options: BackgroundOptions;
  readonly #stopping = new AbortController();
  readonly #stopped: Promise<undefined>;
  readonly #firstReady: Promise<void>;
  readonly #firstOutcome: Promise<ServerStatus>;
  #living: Promise<void> | undefined;
  #supervisor: Supervisor | undefined;
  #stage: { readonly state: ServerState; readonly reason?: string } = { state: "starting" };
  #restartsBefore = 0;
  #isFirst = true;
  #resolveReady!: () => void;
  #rejectReady!: (error: Error) => void;
  #resolveOutcome!: (outcome: ServerStatus) => void;
  #failures = 0;
  /** Why the last attempt failed; while another one is under way, all there is to say. */
  #trouble: string | undefined;

  constructor(options: BackgroundOptions) {
    this.#options = options;
    const { signal } = this.#stopping;
    this.#stopped = new Promise((resolve) => {
      signal.addEventListener("abort", () => resolve(undefined), { once: true });
    });
    this.#firstReady = new Promise((resolve, reject) => {
      this.#resolveReady = resolve;
      this.#rejectReady = reject;
    });
    this.#firstOutcome = new Promise((resolve) => (this.#resolveOutcome = resolve));
    this.#firstReady.catch(() => {}); // Nobody has to wait for it.
  }

  status(): ServerStatus {
    const lives = this.#supervisor?.status();
    const restarts = this.#restartsBefore + (lives?.restarts ?? 0);
    const { name } = this.#options;
    const status: ServerStatus = lives ?? { name, pid: undefined, restarts, ...this.#stage };
    const { state, reason = state === "ready" ? undefined : this.#trouble } = status;
    return reason === undefined ? { ...status, restarts } : { ...status, restarts, reason };
  }

  /** Begins; what goes wrong is in the status and the log, and tried again. */
  start(): void {
    this.#living = this.#live();
  }

  /** Resolves once it has come up; rejects (UNAVAILABLE) when the home is closed before. */
  whenReady(): Promise<void> {
    return this.#firstReady;
  }

  /** What came of the first attempt to bring it up, once that is over; what came of it since, where that is known. */
  async settled(): Promise<ServerStatus> {
    const first = await this.#firstOutcome;
    const now = this.status();
    return now.state === "starting" ? first : now;
  }

  /** Safe twice, and in the middle of anything. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#supervisor?.stop();
    await this.#living;
    this.#stage = { state: "stopped" };
    this.#resolveOutcome(this.status());
    const { name } = this.#options;
    this.#rejectReady(
      new AgentRuntimeError("UNAVAILABLE", `the home was closed before ${name} was up`),
    );
  }

  async #live(): Promise<void> {
    const { name, log } = this.#options;
    const { signal } = this.#stopping;
    let unusable: string | undefined;
    while (!signal.aborted) {
      try {
        const supervisor = await this.#prepare(unusable);
        unusable = await this.#run(supervisor);
      } catch (error) {
        if (signal.aborted) return;
        this.#fail((error as Error).message);
        log.error({ server: name, error }, "database server could not be brought up");
      }
      this.#resolveOutcome(this.status());
      if (!signal.aborted) await this.#rest();
    }
  }

  async #prepare(unusable: string | undefined): Promise<Supervisor> {
    const { signal } = this.#stopping;
    const report = (state: ServerState, reason: string): void =>
      void (this.#stage = { state, reason });
    const supervisor = await this.#options.prepare({ unusable, signal, report });
    signal.throwIfAborted();
    return supervisor;
  }

  /** One life of its data: until it is stopped, or the data turns out to be unusable, and why. */
  async #run(supervisor: Supervisor): Promise<string | undefined> {
    const { watch, name, log } = this.#options;
    const life = new AbortController();
    this.#supervisor = supervisor;
    let readyAtMs = Infinity;
    try {
      const ends = [supervisor.lost, this.#stopped];
      if (watch !== undefined) ends.push(watch(supervisor, life.signal));
      const start = supervisor.start().then(
        () => {
          readyAtMs = systemClock.monotonicMs();
          this.#announce();
          return Promise.race(ends);
        },
        (error: unknown) => (error as Error).message,
      );
      const unusable = await Promise.race([start, ...ends]);
      if (unusable !== undefined) {
        this.#fail(unusable);
        log.warn({ server: name, reason: unusable }, "database server cannot go on as it is");
      }
      return unusable;
    } finally {
      life.abort();
      await supervisor.stop();
      this.#restartsBefore += supervisor.status().restarts;
      this.#supervisor = undefined;
      if (systemClock.monotonicMs() - readyAtMs > WELL_AFTER_MS) this.#failures = 0;
    }
  }

  #fail(reason: string): void {
    this.#trouble = reason;
    this.#stage = { state: "failed", reason };
  }

  #announce(): void {
    this.#trouble = undefined;
    if (!this.#isFirst) {
      this.#restartsBefore += 1;
      this.#options.onRestarted();
    }
    this.#isFirst = false;
    this.#resolveReady();
    this.#resolveOutcome(this.status());
  }

  /** The first trouble is answered at once. */
  async #rest(): Promise<void> {
    this.#failures += 1;
    if (this.#failures === 1) return;
    const waitMs = backoffMs(this.#failures - 1, BACKOFF, Math.random());
    await pause(waitMs, undefined, { signal: this.#stopping.signal }).catch(() => {});
  }
}
