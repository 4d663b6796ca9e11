import { join } from "node:path";
import { expect, test } from "vitest";
import { packageRoot } from "../../src/service/package-root.ts";
import { Child } from "../support/child.ts";

test("the quick form of the benchmark measures the captor, or says why it cannot", async () => {
  const run = join(packageRoot(), "scripts", "run.mjs");
  const args = ["bench/main.ts", "--quick", "--only", "captor"];
  const bench = new Child(process.execPath, [run, ...args], { cwd: packageRoot() });
  const { code } = await bench.ended();
  expect(code, bench.stderr).toBe(0);
  expect(bench.stdout).toMatch(
    /^container exit to committed state, p99 +\d|^skipped: captor: \S+/m,
  );
}, 600_000);
