import { fork, spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { packageRoot } from "../../src/service/package-root.ts";

export interface ProgramOptions {
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly uid?: number;
  readonly gid?: number;
  /** A session of its own: Ctrl-C at the terminal does not reach it. */
  readonly detached?: boolean;
}

const KILL_AFTER_MS = 30_000;
const KEPT_CHARACTERS = 20_000;

/** A program that the benchmark started: what it says, and its end. */
export class Program {
  readonly child: ChildProcess;
  readonly #ended: Promise<number | null>;
  #said = "";

  constructor(child: ChildProcess) {
    this.child = child;
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on("data", (chunk: Buffer) => {
        this.#said = (this.#said + chunk.toString()).slice(-KEPT_CHARACTERS);
      });
    }
    this.#ended = once(child, "close").then(([code]) => code as number | null);
  }

  static start(command: string, options: ProgramOptions = {}): Program {
    const { args = [], env, ...rest } = options;
    const stdio: ["ignore", "pipe", "pipe"] = ["ignore", "pipe", "pipe"];
    return new Program(spawn(command, args, { ...rest, env: { ...process.env, ...env }, stdio }));
  }

  /** A module of bench/children/, which answers messages. */
  static fork(name: string, options: { readonly execArgv?: string[] } = {}): Program {
    const file = join(dirname(fileURLToPath(import.meta.url)), "..", "children", `${name}.js`);
    return new Program(
      fork(file, { stdio: ["ignore", "pipe", "pipe", "ipc"], execArgv: options.execArgv ?? [] }),
    );
  }

  get pid(): number {
    if (this.child.pid === undefined) throw new Error("the program could not be started");
    return this.child.pid;
  }

  /** What `pattern` matched in its output; throws, with the output, where it ends before. */
  async says(pattern: RegExp): Promise<RegExpExecArray> {
    const found = new Promise<RegExpExecArray>((resolve) => {
      const look = (): void => {
        const match = pattern.exec(this.#said);
        if (match !== null) resolve(match);
      };
      for (const stream of [this.child.stdout, this.child.stderr]) stream?.on("data", look);
      look();
    });
    const ended = this.#ended.then((code): never => {
      throw new Error(`${this.child.spawnfile} ended with ${code}:\n${this.#said}`);
    });
    return Promise.race([found, ended]);
  }

  /** What it answers to a message; throws, with its output, where it ends instead. */
  async ask<Answer>(message: object): Promise<Answer> {
    const answer = once(this.child, "message").then(([value]) => value as Answer);
    this.child.send(message);
    const ended = this.#ended.then((code): never => {
      throw new Error(`${this.child.spawnargs.at(-1)} ended with ${code}:\n${this.#said}`);
    });
    return Promise.race([answer, ended]);
  }

  /** All that it said, once it has ended well; throws, with that, where it has not. */
  async output(): Promise<string> {
    const code = await this.#ended;
    if (code === 0) return this.#said;
    throw new Error(`${this.child.spawnargs.join(" ")} ended with ${code}:\n${this.#said}`);
  }

  /** Asks it to end, waits for that, and insists after half a minute. */
  async stop(signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
    this.child.kill(signal);
    const force = setTimeout(() => this.child.kill("SIGKILL"), KILL_AFTER_MS);
    await this.#ended;
    clearTimeout(force);
  }
}

/** The program as a user starts it from a checkout. */
export function launcher(): string {
  return join(packageRoot(), "agent_runtime");
}
