import { execFileSync, spawnSync } from "node:child_process";
import { closeSync, mkdtempSync, openSync, realpathSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import type { TestContext } from "vitest";

const DISK_MIB = 160;

/** The folder of a small disk of the test's own; where none can be had, the test is left out. */
export function mountDisk(context: TestContext): string {
  if (process.getuid?.() !== 0) return context.skip("only root may mount a small disk");
  const folder = realpathSync(mkdtempSync(join(tmpdir(), "art-disk-")));
  const options = ["-t", "tmpfs", "-o", `size=${DISK_MIB}m`, "tmpfs", folder];
  const { status, stderr, error } = spawnSync("/bin/mount", options, { encoding: "utf8" });
  if (status !== 0) {
    rmSync(folder, { recursive: true });
    return context.skip(`a small disk cannot be mounted (${error?.message ?? stderr.trim()})`);
  }
  onTestFinished(() => {
    execFileSync("/bin/umount", ["--lazy", folder]);
    rmSync(folder, { recursive: true });
  });
  return folder;
}

/** Takes all the space that is left on its disk. */
export function fillUp(file: string): void {
  const fd = openSync(file, "w");
  const block = Buffer.alloc(64 * 1024);
  try {
    for (;;) writeSync(fd, block);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOSPC") throw error;
  } finally {
    closeSync(fd);
  }
}
