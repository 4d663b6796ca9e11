import { spawn, type ChildProcess } from "node:child_process";

/** Ends what is left, with all below it, by the signal of choice, and waits 10 s for that; then by force. */
const SCRIPT = `
  pids=" "
  while read -r change pid; do
    case "$change" in
      watch) pids="$pids$pid " ;;
      forget) pids="\${pids%% $pid *} \${pids#* $pid }" ;;
    esac
  done
  for pid in $pids; do
    kill -s CONT "$pid"
    kill -s "$2" -- "-$pid"
    kill -s "$2" "$pid"
  done 2>/dev/null
  for twentieth in $(seq 200); do
    left=""
    for pid in $pids; do kill -0 "$pid" && left="$left $pid"; done 2>/dev/null
    [ -z "$left" ] && break
    sleep 0.05
  done
  for pid in $left; do kill -s KILL -- "-$pid"; kill -s KILL "$pid"; done 2>/dev/null
  if [ -n "$1" ]; then rm -rf "$1"; fi`;

/**
 * Ends the given processes and removes the folder when this process is gone, however it went.
 *
 * The guard reads from a pipe that only we hold: kill -9 closes it too. It is a process group of
 * its own, so that Ctrl-C, which reaches the whole group, does not reach it.
 */
export class Guard {
  readonly #shell: ChildProcess;

  /**
   * @param folder what to remove at the end; unsaid: nothing.
   * @param signal what ends a process; unsaid: PostgreSQL's immediate shutdown.
   */
  constructor(folder = "", signal: "QUIT" | "KILL" = "QUIT") {
    this.#shell = spawn("sh", ["-c", SCRIPT, "guard", folder, signal], {
      detached: true,
      stdio: ["pipe", "ignore", "ignore"],
    });
    // It must not keep this process alive: the end of it is what it waits for.
    this.#shell.unref();
  }

  /** From now on this process ends with us. Once it has ended its number is forgotten: others get it. */
  watch(child: ChildProcess): void {
    if (child.pid === undefined) return; // it could not be started
    this.#tell(`watch ${child.pid}`);
    child.once("exit", () => this.#tell(`forget ${child.pid}`));
  }

  /** Ends the processes and removes the folder now. */
  async release(): Promise<void> {
    if (this.#shell.exitCode !== null || this.#shell.signalCode !== null) return;
    this.#shell.ref();
    const gone = new Promise((resolve) => this.#shell.once("close", resolve));
    this.#shell.stdin?.end();
    await gone;
  }

  #tell(line: string): void {
    if (this.#shell.stdin?.writable === true) this.#shell.stdin.write(`${line}\n`);
  }
}
