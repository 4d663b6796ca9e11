import { setMaxListeners } from "node:events";
import { Readable } from "node:stream";
import { runProgram } from "../../src/cli/program.ts";
import type { Screen, Terminal } from "../../src/cli/terminal.ts";

interface FakeOptions {
  /** What is typed, or piped in. */
  readonly input?: string;
  /** Whether all streams are a terminal of so many columns; unsaid: pipes. */
  readonly columns?: number;
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
}

/** A terminal of a test: keeps what a command writes, and interrupts it. */
export class FakeTerminal implements Terminal {
  readonly stdin: Readable & { isTTY?: boolean };
  readonly stdout: FakeScreen;
  readonly stderr: FakeScreen;
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  readonly #user = new AbortController();
  readonly signal = this.#user.signal;

  constructor(options: FakeOptions = {}) {
    this.stdin = Readable.from([Buffer.from(options.input ?? "")]);
    if (options.columns !== undefined) this.stdin.isTTY = true;
    this.stdout = new FakeScreen(options.columns);
    this.stderr = new FakeScreen(options.columns);
    this.env = options.env ?? {};
    this.cwd = options.cwd ?? process.cwd();
    setMaxListeners(0, this.signal);
  }

  /** As ctrl-C does. */
  interrupt(): void {
    this.#user.abort();
  }
}

class FakeScreen implements Screen {
  readonly isTTY: boolean;
  readonly columns?: number;
  text = "";

  constructor(columns: number | undefined) {
    this.isTTY = columns !== undefined;
    if (columns !== undefined) this.columns = columns;
  }

  write(text: string): boolean {
    this.text += text;
    return true;
  }

  once(): void {}

  off(): void {}
}

/** How a command ended. */
export interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs `agent_runtime ARGS` in this process, to its end. */
export async function run(args: readonly string[], options: FakeOptions = {}): Promise<Ended> {
  const terminal = new FakeTerminal(options);
  const code = await runProgram(args, terminal);
  return { code, stdout: terminal.stdout.text, stderr: terminal.stderr.text };
}
