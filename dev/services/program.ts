import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { basename } from "node:path";

export interface ProgramOptions {
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly uid?: number;
  readonly gid?: number;
  /** A session of its own: Ctrl-C at the terminal does not reach it. */
  readonly detached?: boolean;
  /** For messages; unsaid: the command's. */
  readonly name?: string;
}

const KILL_AFTER_MS = 30_000;
const KEPT_CHARACTERS = 20_000;

/** A program that we started: what it says, and its end. */
export class Program {
  readonly child: ChildProcess;
  /** How it ended: `code 0`, `SIGKILL`. Rejects where it could not be started. */
  readonly ended: Promise<string>;
  readonly #name: string;
  #said = "";

  constructor(child: ChildProcess, name = basename(child.spawnfile)) {
    this.child = child;
    this.#name = name;
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on("data", (chunk: Buffer) => {
        this.#said = (this.#said + chunk.toString()).slice(-KEPT_CHARACTERS);
      });
    }
    this.ended = once(child, "close").then(([code, signal]) => String(signal ?? `code ${code}`));
  }

  static start(command: string, options: ProgramOptions = {}): Program {
    const { args = [], env, name, ...rest } = options;
    const stdio: ["ignore", "pipe", "pipe"] = ["ignore", "pipe", "pipe"];
    const child = spawn(command, args, { ...rest, env: { ...process.env, ...env }, stdio });
    return new Program(child, name);
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
    return Promise.race([found, this.ended.then((how) => this.#fail(how))]);
  }

  /** What it answers to a message; throws, with its output, where it ends instead. */
  async ask<Answer>(message: object): Promise<Answer> {
    const answer = once(this.child, "message").then(([value]) => value as Answer);
    this.child.send(message);
    return Promise.race([answer, this.ended.then((how) => this.#fail(how))]);
  }

  /** All that it said, once it has ended well; throws, with that, where it has not. */
  async output(): Promise<string> {
    const how = await this.ended;
    return how === "code 0" ? this.#said : this.#fail(how);
  }

  /** Asks it to end, waits for that, and insists after half a minute. */
  async stop(signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
    this.child.kill(signal);
    const force = setTimeout(() => this.child.kill("SIGKILL"), KILL_AFTER_MS);
    await this.ended;
    clearTimeout(force);
  }

  #fail(how: string): never {
    throw new Error(`${this.#name} ended with ${how}:\n${this.#said}`);
  }
}
