import { spawn } from "node:child_process";

/** A program to start, with everything that decides as whom and where it runs. */
export interface Command {
  readonly file: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** Another user than ours; only root can give one. */
  readonly uid?: number;
  readonly gid?: number;
}

export interface CommandResult {
  readonly ok: boolean;
  readonly stdout: string;
  /** What it complained of, or why it could not be started. */
  readonly stderr: string;
}

const OUTPUT_LIMIT_BYTES = 64 * 1024;

/** Runs a short program to its end. Never throws: a program that cannot start is a result too. */
export function runCommand(
  command: Command,
  options: { readonly input?: string; readonly timeoutMs: number },
): Promise<CommandResult> {
  return new Promise((resolve) => {
    const { file, args, ...rest } = command;
    // The root folder is one that every user may enter; ours may be closed to the servers' user.
    const child = spawn(file, args, { ...rest, cwd: "/", timeout: options.timeoutMs });
    const output = { stdout: "", stderr: "" };
    for (const name of ["stdout", "stderr"] as const) {
      child[name].setEncoding("utf8").on("data", (text: string) => {
        output[name] = (output[name] + text).slice(-OUTPUT_LIMIT_BYTES);
      });
    }
    child.once("error", (error) => resolve({ ok: false, stdout: "", stderr: error.message }));
    child.once("close", (code, signal) => {
      const ended = signal === null ? "" : `\nended by ${signal} (limit ${options.timeoutMs} ms)`;
      resolve({ ok: code === 0, stdout: output.stdout, stderr: (output.stderr + ended).trim() });
    });
    child.stdin.on("error", () => {}); // It ended without reading its input: its exit code says why.
    child.stdin.end(options.input ?? "");
  });
}
