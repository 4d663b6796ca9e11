import { fork } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { packageRoot } from "../../src/service/package-root.ts";

/** What the process of a stopped service still holds. */
export interface Holdings {
  /** Rejections that nobody handled, exceptions that nobody caught, warnings; since the last look. */
  readonly troubles: readonly string[];
  /** Of the system, by kind: resources of the event loop, descriptors, threads, children, listeners. */
  readonly holds: Readonly<Record<string, number>>;
}

/** What its memory holds, after the garbage was collected. */
export interface Weight {
  readonly heapBytes: number;
  /** Objects that live, functions and promises among them. */
  readonly objects: number;
}

interface Answer {
  readonly answer?: unknown;
  readonly error?: string;
}

/**
 * Code that is compiled while it runs, and what V8 learns about it, grows the heap for hundreds of rounds without a
 * single object more; without it, what is left is what the program keeps.
 */
const STEADY_HEAP = [
  "--no-opt",
  "--no-sparkplug",
  "--no-lazy-feedback-allocation",
  "--no-flush-bytecode",
];

/** A process in which a service is started and stopped again and again. */
export class CyclingService {
  readonly #child: ChildProcess;
  #stderr = "";

  private constructor() {
    const script = join(packageRoot(), "test", "fault", "cycling-service.mjs");
    this.#child = fork(script, [join(packageRoot(), "dist")], {
      execArgv: ["--expose-gc", ...STEADY_HEAP],
      stdio: ["ignore", "ignore", "pipe", "ipc"],
    });
    this.#child.stderr!.on("data", (chunk: Buffer) => (this.#stderr += chunk.toString()));
  }

  static async open(): Promise<CyclingService> {
    const service = new CyclingService();
    await service.#answer();
    return service;
  }

  /** Where it listens. */
  async start(options: {
    readonly env: Readonly<Record<string, string>>;
    readonly cwd: string;
    /** Of its consumer of changes. */
    readonly group: string;
  }): Promise<string> {
    const { env, cwd, group } = options;
    return (await this.#ask("start", { env, cwd, group })) as string;
  }

  /** Resolves once it has worked on a task, and where `consumes` says so had a change over the bus. */
  async worked(task: string, consumes: boolean): Promise<void> {
    await this.#ask("worked", { task, consumes });
  }

  /** How many milliseconds that took. */
  async stop(): Promise<number> {
    return (await this.#ask("stop")) as number;
  }

  async look(): Promise<Holdings> {
    return (await this.#ask("look")) as Holdings;
  }

  /** @param snapshot where the heap is written to, for whoever looks for what grows. */
  async weigh(snapshot?: string): Promise<Weight> {
    return (await this.#ask("weigh", snapshot === undefined ? {} : { snapshot })) as Weight;
  }

  /** What it has written to standard error since the last time, by lines. */
  takeLog(): string[] {
    const lines = this.#stderr.split("\n");
    this.#stderr = lines.pop()!;
    return lines;
  }

  async close(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const gone = once(this.#child, "exit");
    this.#child.kill("SIGKILL");
    await gone;
  }

  async #ask(order: string, details: object = {}): Promise<unknown> {
    const answering = this.#answer();
    this.#child.send({ order, ...details });
    return await answering;
  }

  async #answer(): Promise<unknown> {
    const exited = new AbortController();
    const { signal } = exited;
    const [said] = (await Promise.race([
      once(this.#child, "message", { signal }),
      once(this.#child, "exit", { signal }),
    ]).finally(() => exited.abort())) as [Answer | number | null];
    if (said === null || typeof said === "number") throw new Error(`it ended: ${this.#stderr}`);
    if (said.error !== undefined) throw new Error(said.error);
    return said.answer;
  }
}
