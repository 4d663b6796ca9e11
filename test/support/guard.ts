import { spawn, type ChildProcess } from "node:child_process";

/**
 * Ends the given processes and removes the folder when this process is gone, however it went.
 *
 * The guard reads from a pipe that only we hold: kill -9 closes it too. It is a process group of
 * its own, so that Ctrl-C, which reaches the whole group, does not reach it.
 */
export class Guard {
  readonly #shell: ChildProcess;

  constructor(folder: string) {
    const script = `
      while read -r pid; do pids="$pids $pid"; done
      for pid in $pids; do kill -QUIT "$pid" 2>/dev/null; done
      for pid in $pids; do
        for tenth in $(seq 50); do kill -0 "$pid" 2>/dev/null || break; sleep 0.1; done
        kill -KILL "$pid" 2>/dev/null
      done
      rm -rf "$1"`;
    this.#shell = spawn("sh", ["-c", script, "guard", folder], {
      detached: true,
      stdio: ["pipe", "ignore", "ignore"],
    });
    // It must not keep the test run alive: the run's end is what it waits for.
    this.#shell.unref();
  }

  /** From now on this process ends with us. */
  watch(child: ChildProcess): void {
    this.#shell.stdin?.write(`${child.pid}\n`);
  }

  /** Ends the processes and removes the folder now. */
  async release(): Promise<void> {
    const gone = new Promise((resolve) => this.#shell.once("close", resolve));
    this.#shell.stdin?.end();
    await gone;
  }
}
