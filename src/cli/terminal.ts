import { createInterface } from "node:readline";
import type { Readable } from "node:stream";

/** Where a command writes: a stream that may be a terminal. */
export interface Screen {
  readonly isTTY?: boolean;
  /** Columns of the terminal. */
  readonly columns?: number;
  write(text: string): boolean;
  once(event: "drain" | "close", listener: () => void): unknown;
  off(event: "drain" | "close", listener: () => void): unknown;
}

/** All that a command knows of the process it runs in. */
export interface Terminal {
  readonly stdin: Readable & { readonly isTTY?: boolean };
  readonly stdout: Screen;
  readonly stderr: Screen;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  /** Aborts at the first SIGINT, SIGTERM or SIGHUP: finish soon. */
  readonly signal: AbortSignal;
}

/** Writes, and waits where the reader is slower: an export never piles up in memory. */
export async function write(screen: Screen, text: string): Promise<void> {
  if (screen.write(text)) return;
  await new Promise<void>((resolve) => {
    const go = (): void => {
      screen.off("drain", go);
      screen.off("close", go);
      resolve();
    };
    screen.once("drain", go);
    screen.once("close", go);
  });
}

/** Writes one line. */
export async function writeLine(screen: Screen, line: string): Promise<void> {
  await write(screen, `${line}\n`);
}

/** The line that somebody types, without blanks around it; empty where nobody types one. */
export async function readAnswer({ stdin, signal }: Terminal): Promise<string> {
  const lines = createInterface({ input: stdin, signal });
  try {
    for await (const line of lines) return line.trim();
    return "";
  } finally {
    lines.close();
  }
}
