import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { packageRoot } from "../../src/service/package-root.ts";
import { Child } from "../support/child.ts";

let folder: string;

beforeEach(async () => {
  // Inside of the package, where the tests of the tests find vitest; build/ is never committed.
  const build = join(packageRoot(), "build");
  await mkdir(build, { recursive: true });
  folder = await mkdtemp(join(build, "reporter-"));
});

afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

async function run(
  files: Readonly<Record<string, string>>,
): Promise<{ readonly code: number | null; readonly output: string; readonly last: string }> {
  for (const [name, text] of Object.entries(files)) {
    await writeFile(join(folder, name), `import { test, expect } from "vitest";\n${text}`);
  }
  const reporter = join(packageRoot(), "test", "support", "reporter.ts");
  const config = `export default { test: { reporters: [${JSON.stringify(reporter)}] } };`;
  await writeFile(join(folder, "vitest.config.mjs"), config);
  const vitest = join(packageRoot(), "node_modules", "vitest", "vitest.mjs");
  const child = new Child(process.execPath, [vitest, "run", "--root", folder], {
    env: { NO_COLOR: "1", FORCE_COLOR: undefined, CI: undefined },
  });
  const { code } = await child.ended();
  return { code, output: child.stdout, last: child.stdout.trimEnd().split("\n").at(-1) ?? "" };
}

test("a green run ends with its count, after Vitest's own report", async () => {
  const { code, output, last } = await run({ "a.test.ts": 'test("a", () => {});' });
  expect([code, last]).toEqual([0, "1 passed, 0 failed"]);
  expect(output).toContain("Test Files  1 passed");
});

test("failures count: of a test, and of a file that does not load", async () => {
  const { code, last } = await run({
    "a.test.ts": 'test("a", () => {}); test("b", () => expect(1).toBe(2));',
    "b.test.ts": 'throw new Error("does not load");',
  });
  expect([code, last]).toEqual([1, "1 passed, 2 failed"]);
});

test("skips count and say why", async () => {
  const skip = 'test("b", (context) => context.skip("no pooler here"));';
  const { code, output, last } = await run({ "a.test.ts": `test("a", () => {}); ${skip}` });
  expect([code, last]).toEqual([0, "1 passed, 0 failed, 1 skipped"]);
  expect(output).toContain("skipped: b: no pooler here");
});

test("a run in which no test ran fails", async () => {
  const skip = 'test("a", (context) => context.skip("nothing here"));';
  const { code, output, last } = await run({ "a.test.ts": skip });
  expect([code, last]).toEqual([1, "0 passed, 0 failed, 1 skipped"]);
  expect(output).toContain("no test ran");
});
