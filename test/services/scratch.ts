import { chmodSync, mkdtempSync, readdirSync, readlinkSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { until } from "../support/until.ts";

/** A folder for temporary folders, that servers of another user may pass; gone after the test. */
export function scratchFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "art-scratch-"));
  chmodSync(folder, 0o777);
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Waits until the folder is empty and no process works in it. */
export async function untilNothingIsLeft(folder: string): Promise<void> {
  const isClean = (): boolean => readdirSync(folder).length === 0 && pidsIn(folder).length === 0;
  await until(isClean, { what: "the end of all servers and files" });
}

/** The processes whose working directory lies in the folder; PostgreSQL's is its data. */
export function pidsIn(folder: string): number[] {
  return readdirSync("/proc")
    .map(Number)
    .filter((pid) => {
      try {
        return pid > 1 && readlinkSync(`/proc/${pid}/cwd`).startsWith(`${folder}/`);
      } catch {
        return false; // it ended while we looked
      }
    });
}
