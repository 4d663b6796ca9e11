import { setMaxListeners } from "node:events";
import { EXIT } from "./failure.ts";
import type { Terminal } from "./terminal.ts";

/** The terminal of this process. The first signal asks the command to finish; the second one ends it. */
export function processTerminal(): Terminal {
  const interrupted = new AbortController();
  // Each call that is under way listens to it, and there may be many.
  setMaxListeners(0, interrupted.signal);
  const onSignal = (): void => {
    if (interrupted.signal.aborted) process.exit(EXIT.failed);
    interrupted.abort();
    // A command that waits for somebody to type has nothing left to wait for.
    if (!process.stdin.isPaused()) process.stdin.destroy();
  };
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, onSignal);
  leaveWithTheReader(process.stdout);
  leaveWithTheReader(process.stderr);
  return {
    stdin: process.stdin,
    stdout: process.stdout,
    stderr: process.stderr,
    env: process.env,
    cwd: process.cwd(),
    signal: interrupted.signal,
  };
}

/** `list | head` closes the pipe when it has enough: no reason to complain. */
function leaveWithTheReader(stream: NodeJS.WriteStream): void {
  stream.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") process.exit(EXIT.done);
    process.stderr.write(`agent_runtime: what it prints cannot be written (${error.code})\n`);
    process.exit(EXIT.failed);
  });
}
