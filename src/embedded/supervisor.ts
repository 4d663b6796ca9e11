import { rm } from "node:fs/promises";
import { setTimeout as pause } from "node:timers/promises";
import { backoffMs } from "../service/backoff.ts";
import { systemClock } from "../service/clock.ts";
import type { Logger } from "../service/log-port.ts";
import type { Command } from "./command.ts";
import { refuse } from "./data-directory.ts";
import { endLeftovers } from "./leftovers.ts";
import type { ServerLog } from "./server-log.ts";
import { ServerProcess } from "./server-process.ts";
import type { ServerState, ServerStatus } from "./server-status.ts";
import type { ServerName } from "./servers.ts";

export interface SupervisorOptions {
  readonly name: ServerName;
  /** The real path of its data. */
  readonly clusterDir: string;
  /** Where PostgreSQL notes that the data, and the socket, are in use. */
  readonly lockFiles: readonly string[];
  readonly command: Command;
  readonly serverLog: ServerLog;
  readonly log: Logger;
  /** After so many deaths in a row it is given up; unsaid: never. */
  readonly deathLimit?: number;
  /** Never throws. */
  readonly onRestarted: () => void;
}

const SILENCE_MS = 30_000;
/** After a kill -9, what the old server held in shared memory lives on for a moment. */
const BUSY_PATIENCE_MS = 10_000;
const BUSY = /pre-existing shared memory block|lock file ".*" already exists/;
const BUSY_PAUSE_MS = 100;
const BACKOFF = { firstMs: 100, maxMs: 5_000 };
/** One that lived for so long is well: its next death starts the count anew. */
const WELL_AFTER_MS = 30_000;
const NOTES: Partial<Record<ServerName, string>> = {
  main: ". Where its data is damaged, rebuild it from the rollback server (`agent_runtime state restore --from rollback --move-main`), or restore a backup",
  rollback:
    ". Where its data is damaged, move its folder away: a new one is made, and filled from main",
};

/** Keeps one server running: starts it, brings it back when it dies, and stops it in order. */
export class Supervisor {
  /** Resolves with the reason when the server is given up. */
  readonly lost: Promise<string>;
  readonly #options: SupervisorOptions;
  readonly #stopping = new AbortController();
  #process: ServerProcess | undefined;
  #watching: Promise<void> | undefined;
  #giveUp!: (reason: string) => void;
  #state: ServerState = "starting";
  #reason: string | undefined;
  #restarts = 0;
  #failures = 0;
  #readyAtMs = 0;

  constructor(options: SupervisorOptions) {
    this.#options = options;
    this.lost = new Promise((resolve) => (this.#giveUp = resolve));
  }

  status(): ServerStatus {
    const [state, restarts, reason] = [this.#state, this.#restarts, this.#reason];
    const pid = state === "ready" ? this.#process?.pid : undefined;
    const status = { name: this.#options.name, pid, restarts, state };
    return reason === undefined ? status : { ...status, reason };
  }

  /** The last lines that the server said in this life. */
  lastWords(): string {
    return this.#options.serverLog.tail();
  }

  /**
   * Starts the server, after ending what an earlier service left of it.
   *
   * @throws {AgentRuntimeError} DATA_DIRECTORY with the server's own last words.
   */
  async start(): Promise<void> {
    const from = systemClock.monotonicMs();
    for (;;) {
      try {
        await this.#launch();
        break;
      } catch (error) {
        const late = systemClock.monotonicMs() - from > BUSY_PATIENCE_MS;
        const worthIt = BUSY.test(this.#options.serverLog.tail()) && !late;
        if (!worthIt || this.#stopping.signal.aborted) throw error;
        await pause(BUSY_PAUSE_MS);
      }
    }
    this.#watching = this.#watch();
  }

  /** Safe twice, and in the middle of a start. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#process?.stop();
    await this.#watching;
    this.#state = "stopped";
    this.#options.serverLog.close();
  }

  async #launch(): Promise<void> {
    const { name, clusterDir, lockFiles, command, serverLog, log } = this.#options;
    await endLeftovers(clusterDir, log);
    // Nobody works there now. PostgreSQL knows the former server by its pid alone, which may be somebody
    // else's by now: in a container that is started again it mostly is.
    for (const file of lockFiles) await rm(file, { force: true });
    if (this.#stopping.signal.aborted) throw new Error("it is being stopped");
    serverLog.forgetTail();
    const onReadyAgain = (): void => this.#restarted();
    const life = { command, log: serverLog, silenceMs: SILENCE_MS, onReadyAgain };
    this.#process = new ServerProcess(life);
    try {
      await this.#process.ready;
    } catch (error) {
      await this.#process.ended;
      throw refuse(
        `the server "${name}" did not start, ${(error as Error).message}; its last words:\n${serverLog.tail()}\n`,
        `what to do depends on them; all of its log is in ${serverLog.file}${NOTES[name] ?? ""}`,
        error,
      );
    }
    this.#readyAtMs = systemClock.monotonicMs();
    this.#state = "ready";
    this.#reason = undefined;
    log.info({ server: name, pid: this.#process.pid }, "database server ready");
  }

  async #watch(): Promise<void> {
    const { name, serverLog, log } = this.#options;
    while (!this.#stopping.signal.aborted) {
      const how = await this.#process?.ended;
      if (this.#stopping.signal.aborted) return;
      this.#state = "restarting";
      this.#reason = how;
      log.warn(
        { server: name, how, tail: serverLog.tail() },
        "database server died, restarting it",
      );
      const livedMs = systemClock.monotonicMs() - this.#readyAtMs;
      this.#failures = livedMs > WELL_AFTER_MS ? 0 : this.#failures + 1;
      if (!(await this.#revive())) return;
    }
  }

  /** Tries until it is back, no longer wanted, or given up. The first death is answered at once. */
  async #revive(): Promise<boolean> {
    const { name, log, deathLimit = Infinity } = this.#options;
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      if (this.#failures >= deathLimit) {
        this.#state = "failed";
        this.#giveUp(`it died ${this.#failures} times in a row (${this.#reason})`);
        return false;
      }
      const waitMs = this.#failures > 1 ? backoffMs(this.#failures - 1, BACKOFF, Math.random()) : 0;
      await pause(waitMs, undefined, { signal }).catch(() => {});
      try {
        await this.#launch();
        this.#restarted();
        return true;
      } catch (error) {
        if (signal.aborted) return false;
        this.#failures += 1;
        this.#reason = (error as Error).message;
        log.error(
          { server: name, failures: this.#failures, error },
          "database server not back yet",
        );
      }
    }
    return false;
  }

  #restarted(): void {
    this.#restarts += 1;
    const { name, log, onRestarted } = this.#options;
    log.warn({ server: name, restarts: this.#restarts }, "database server is back");
    onRestarted();
  }
}
