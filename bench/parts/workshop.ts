import { chmodSync, mkdirSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Guard } from "../../dev/services/guard.ts";
import type { Program } from "../../dev/services/program.ts";

/**
 * Where a run happens: a temporary folder, and all that was started for it.
 *
 * A guard outside of this process ends the servers and removes the folder, however this one ends.
 */
export class Workshop {
  readonly folder: string;
  /** Aborts when the run is to end early. */
  readonly signal: AbortSignal;
  readonly guard: Guard;
  readonly #undo: (() => Promise<void>)[] = [];

  constructor(signal: AbortSignal) {
    this.folder = mkdtempSync(join(tmpdir(), "art-bench-"));
    chmodSync(this.folder, 0o711); // Servers may run as another user: it may pass, and sees nothing.
    this.signal = signal;
    this.guard = new Guard(this.folder);
  }

  /** A folder of its own below the run's. */
  newFolder(name: string): string {
    const folder = join(this.folder, name);
    mkdirSync(folder, { mode: 0o700 });
    return folder;
  }

  /** The program ends with the run. */
  keep(program: Program): Program {
    this.guard.watch(program.child);
    return program;
  }

  /** Done at the end, last first. */
  atEnd(undo: () => Promise<void>): void {
    this.#undo.push(undo);
  }

  async close(): Promise<void> {
    for (let undo = this.#undo.pop(); undo !== undefined; undo = this.#undo.pop()) {
      await undo().catch((error: unknown) => console.error(error));
    }
    await this.guard.release();
  }
}
