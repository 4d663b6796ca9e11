import { join } from "node:path";
import { packageRoot } from "../../src/service/package-root.ts";
import { Child, runProgram } from "../support/child.ts";

/** How a worker reaches the tasks, over HTTP or as a library, and which it works on. */
export type Way = (
  { readonly service: string } | { readonly database: string; readonly leaseMs: number }
) & { readonly concurrency?: number; readonly stacks?: readonly string[] };

export type WorkerProcess = Child;

/** A processor in a process of its own, ready to work; what its tasks do outside is a line in `file`. */
export async function startWorker(way: Way, file: string): Promise<WorkerProcess> {
  await runProgram(["--version"]); // builds what it runs
  const script = join(packageRoot(), "test", "tasks", "worker.mjs");
  const args = [script, join(packageRoot(), "dist"), JSON.stringify(way), file];
  const worker = new Child(process.execPath, args);
  await worker.says(/^ready/m, { timeoutMs: 60_000 });
  return worker;
}
