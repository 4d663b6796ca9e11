import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { packageRoot } from "../../src/service/package-root.ts";
import { join } from "node:path";
import { afterAll } from "vitest";
import { until } from "./until.ts";

interface StartOptions {
  readonly cwd?: string;
  /** Added to the environment; undefined takes a variable away. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Written to standard input, which is then closed; unsaid: no input. */
  readonly input?: string;
}

interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

const alive = new Set<Child>();
let build: Promise<void> | undefined;

afterAll(async () => {
  await Promise.all([...alive].map((child) => child.kill()));
});

/** A program started by a test. Whatever the test forgets is killed after its file. */
export class Child {
  readonly #process: ChildProcess;
  readonly #ended: Promise<Ended>;
  #stdout = "";
  #stderr = "";

  constructor(command: string, args: readonly string[], options: StartOptions = {}) {
    const stdin = options.input === undefined ? "ignore" : "pipe";
    this.#process = spawn(command, args, {
      cwd: options.cwd,
      env: { ...process.env, ...options.env },
      stdio: [stdin, "pipe", "pipe"],
    });
    this.#process.stdin?.end(options.input);
    this.#process.stdout?.on("data", (chunk: Buffer) => (this.#stdout += chunk.toString()));
    this.#process.stderr?.on("data", (chunk: Buffer) => (this.#stderr += chunk.toString()));
    this.#ended = this.#end();
    alive.add(this);
  }

  /** Its process id. */
  get pid(): number {
    if (this.#process.pid === undefined) throw new Error("the program could not be started");
    return this.#process.pid;
  }

  /** All that it wrote to standard output so far. */
  get stdout(): string {
    return this.#stdout;
  }

  /** All that it wrote to standard error so far. */
  get stderr(): string {
    return this.#stderr;
  }

  /** What `pattern` matched in the output; throws, with the output, when the program ends before or is too slow. */
  async says(
    pattern: RegExp,
    options: { readonly timeoutMs?: number; readonly on?: "stdout" | "stderr" } = {},
  ): Promise<RegExpExecArray> {
    const { timeoutMs = 60_000, on = "stdout" } = options;
    const found = (): RegExpExecArray | null => pattern.exec(this[on]);
    const isOver = (): boolean =>
      this.#process.exitCode !== null || this.#process.signalCode !== null;
    await until(() => found() ?? isOver(), { what: "output", timeoutMs }).catch(() => undefined);
    if (isOver()) await this.#ended; // the last output may come after the exit
    const match = found();
    if (match) return match;
    throw new Error(
      `the program did not say ${pattern}; it said:\n${this.#stdout}\n${this.#stderr}`,
    );
  }

  /** How it ended; waits for that. */
  ended(): Promise<Ended> {
    return this.#ended;
  }

  /** Sends a signal (unsaid: SIGKILL, which nothing can catch) and waits for the end. */
  async kill(signal: NodeJS.Signals = "SIGKILL"): Promise<Ended> {
    this.#process.kill(signal);
    return await this.#ended;
  }

  async #end(): Promise<Ended> {
    try {
      const [code, signal] = (await once(this.#process, "close")) as [number, NodeJS.Signals];
      return { code, signal };
    } finally {
      alive.delete(this);
    }
  }
}

/** `agent_runtime ARGS`, from the built program, which is built first where it is older than its sources. */
export async function startProgram(
  args: readonly string[],
  options: StartOptions = {},
): Promise<Child> {
  build ??= ensureBuilt();
  await build;
  return new Child(
    process.execPath,
    [join(packageRoot(), "dist", "cli", "main.js"), ...args],
    options,
  );
}

/** Runs `agent_runtime ARGS` to its end. */
export async function runProgram(
  args: readonly string[],
  options: StartOptions = {},
): Promise<Ended & { readonly stdout: string; readonly stderr: string }> {
  const child = await startProgram(args, options);
  const ended = await child.ended();
  return { ...ended, stdout: child.stdout, stderr: child.stderr };
}

/** A running service on a free port, once it has said its address; embedded, it runs main alone. */
export async function startService(
  args: readonly string[],
  options: StartOptions & { readonly timeoutMs?: number } = {},
): Promise<{ readonly child: Child; readonly url: string }> {
  const always = ["--listen", "127.0.0.1:0", "--roles", "main"];
  const child = await startProgram(["state", ...always, ...args], options);
  const { timeoutMs } = options;
  const [url] = await child.says(
    /http:\/\/[^\s/]+:\d+/,
    timeoutMs === undefined ? {} : { timeoutMs },
  );
  return { child, url };
}

async function ensureBuilt(): Promise<void> {
  const setup = new Child(process.execPath, [join(packageRoot(), "scripts", "setup.mjs")]);
  const { code } = await setup.ended();
  if (code !== 0) throw new Error(`the build failed:\n${setup.stderr}`);
}
