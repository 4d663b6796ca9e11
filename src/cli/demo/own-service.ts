import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { packageRoot } from "../../service/package-root.ts";
import { CommandFailed } from "../failure.ts";
import type { Terminal } from "../terminal.ts";

const READY = /is ready at (http:\/\/[^\s/]+:\d+)/;
const MAX_OUTPUT = 64 * 1024;

/** A service in a process of its own, on embedded PostgreSQL in a temporary folder. */
export class OwnService {
  readonly #folder: string;
  readonly #env: NodeJS.ProcessEnv;
  #process: ChildProcess | undefined;
  #url = "";

  private constructor(folder: string, env: NodeJS.ProcessEnv) {
    this.#folder = folder;
    this.#env = env;
  }

  /** Resolves once it answers. */
  static async start({ env }: Pick<Terminal, "env">): Promise<OwnService> {
    const folder = await mkdtemp(join(tmpdir(), "lifo-demo-"));
    const service = new OwnService(folder, withoutSettings(env));
    try {
      await service.#start("127.0.0.1:0");
    } catch (error) {
      await service.stop();
      throw error;
    }
    return service;
  }

  get url(): string {
    return this.#url;
  }

  get pid(): number {
    return this.#process?.pid ?? 0;
  }

  /** Ends its process with a signal that nothing can catch. */
  async kill(): Promise<void> {
    await this.#end("SIGKILL");
  }

  /** Starts it again, on the same data and at the same address. */
  async startAgain(): Promise<void> {
    await this.#start(new URL(this.#url).host);
  }

  /** Stops it in order, and leaves nothing behind. */
  async stop(): Promise<void> {
    // Its database servers outlive a killed service; the next one on the same data ends them.
    if (this.#process === undefined && this.#url !== "") await this.startAgain();
    await this.#end("SIGTERM");
    await rm(this.#folder, { recursive: true, force: true });
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#process;
    this.#process = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, "close");
    child.kill(signal);
    await ended;
  }

  async #start(listen: string): Promise<void> {
    const program = join(packageRoot(), "dist", "cli", "main.js");
    const data = ["--data-dir", join(this.#folder, "data"), "--roles", "main"];
    const child = spawn(
      process.execPath,
      [program, "state", "serve", "--listen", listen, "--log-level", "warn", ...data],
      { cwd: this.#folder, env: this.#env, stdio: ["ignore", "pipe", "pipe"] },
    );
    this.#process = child;
    this.#url = await readyUrl(child);
  }
}

/** The address that it says; throws, with what it said, where it ends before. */
function readyUrl(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let output = "";
    const hear = (chunk: Buffer): void => {
      output = (output + chunk.toString()).slice(-MAX_OUTPUT);
      const ready = READY.exec(output);
      if (ready !== null) resolve(ready[1]!);
    };
    child.stdout?.on("data", hear);
    child.stderr?.on("data", hear);
    child.once("error", reject);
    child.once("close", () => {
      const said = output.trim() === "" ? "it said nothing" : output.trim();
      reject(new CommandFailed(`the service of the demo did not start: ${said}`));
    });
  });
}

/** A demo has nothing to do with the databases that the user has set. */
function withoutSettings(env: Terminal["env"]): NodeJS.ProcessEnv {
  const isSetting = (name: string): boolean => /^(AGENT_RUNTIME_|SUPABASE_)/.test(name);
  return Object.fromEntries(Object.entries(env).filter(([name]) => !isSetting(name)));
}
