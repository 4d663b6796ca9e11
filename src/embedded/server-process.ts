import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { createInterface } from "node:readline";
import { setTimeout as pause } from "node:timers/promises";
import type { Command } from "./command.ts";
import type { ServerLog } from "./server-log.ts";

export interface Launch {
  readonly command: Command;
  readonly log: ServerLog;
  /** A starting server that says nothing for so long is given up; a long recovery keeps talking. */
  readonly silenceMs: number;
  /** It ended all its connections and began anew by itself, as it does after a backend crashed. */
  readonly onReadyAgain: () => void;
}

const READY = /database system is ready to accept (read-only )?connections/;
/** Fast shutdown writes a checkpoint; after this the next start has to recover instead. */
const FAST_SHUTDOWN_MS = 20_000;
const IMMEDIATE_SHUTDOWN_MS = 5_000;
/** How long the last words may take after the end. Orphaned backends can hold the pipe open. */
const LAST_WORDS_MS = 250;

/** One life of one server: from its start until its process ends. */
export class ServerProcess {
  /** Settles when it accepts connections; rejects when it ends, or falls silent, before that. */
  readonly ready: Promise<void>;
  /** Says how it ended. Never rejects. */
  readonly ended: Promise<string>;
  readonly #child: ChildProcess;

  constructor(launch: Launch) {
    const { file, args, ...rest } = launch.command;
    // A session of its own: Ctrl-C at a terminal reaches the service alone, which stops in order.
    this.#child = spawn(file, args, {
      ...rest,
      cwd: "/",
      detached: true,
      stdio: ["ignore", "ignore", "pipe"],
    });
    this.ended = ending(this.#child);
    this.ready = this.#awaitReady(launch);
  }

  /** The postmaster's: what stands before it on the command line replaces itself by it. */
  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** Shuts it down: fast, which ends its connections; then at once; then by force. */
  async stop(): Promise<void> {
    const force = [
      setTimeout(() => this.#child.kill("SIGQUIT"), FAST_SHUTDOWN_MS),
      setTimeout(() => this.#child.kill("SIGKILL"), FAST_SHUTDOWN_MS + IMMEDIATE_SHUTDOWN_MS),
    ];
    this.#child.kill("SIGINT");
    await this.ended;
    for (const timer of force) clearTimeout(timer);
  }

  #awaitReady({ log, silenceMs, onReadyAgain }: Launch): Promise<void> {
    return new Promise((resolve, reject) => {
      let isReady = false;
      const silence = setTimeout(() => {
        reject(new Error(`it said nothing for ${silenceMs} ms`));
        void this.stop();
      }, silenceMs);
      createInterface({ input: this.#child.stderr! }).on("line", (line) => {
        log.write(line);
        if (!isReady) silence.refresh();
        if (!READY.test(line)) return;
        clearTimeout(silence);
        if (isReady) onReadyAgain();
        isReady = true;
        resolve();
      });
      void this.ended.then((how) => {
        clearTimeout(silence);
        reject(new Error(how));
      });
    });
  }
}

function ending(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    const closed = new Promise((done) => child.once("close", done));
    child.once("error", (error) => resolve(`it could not be started (${error.message})`));
    child.once("exit", (code, signal) => {
      const how = signal === null ? `it ended with code ${code}` : `it was ended by ${signal}`;
      void Promise.race([closed, pause(LAST_WORDS_MS)]).then(() => resolve(how));
    });
  });
}
