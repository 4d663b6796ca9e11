import {
  chmod,
  cp,
  mkdir,
  mkdtemp,
  realpath,
  rm,
  symlink,
  utimes,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { packageRoot } from "../../src/service/package-root.ts";
import { Child } from "../support/child.ts";

// A checkout whose compiler copies, so that the launcher's own rules are what is tested.
const PROGRAM = "console.log(JSON.stringify({ args: process.argv.slice(2), cwd: process.cwd() }));";
const COMPILER = `
  const { cpSync, readFileSync } = require("node:fs");
  const out = process.argv[process.argv.indexOf("--outDir") + 1];
  if (readFileSync("src/cli/main.js", "utf8").includes("fault")) process.exit(2);
  cpSync("src", out, { recursive: true });`;

let folder: string;
let checkout: string;

beforeEach(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), "launcher-")));
  checkout = join(folder, "check out");
  for (const path of ["src/cli", "scripts", "node_modules/typescript/bin"]) {
    await mkdir(join(checkout, path), { recursive: true });
  }
  for (const path of ["agent_runtime", "scripts/setup.mjs"]) {
    await cp(join(packageRoot(), path), join(checkout, path));
  }
  const files = {
    "package.json": '{ "type": "module" }',
    "package-lock.json": "{}",
    "tsconfig.json": "{}",
    "tsconfig.build.json": "{}",
    "src/cli/main.js": PROGRAM,
    "node_modules/typescript/package.json": '{ "type": "commonjs" }',
    "node_modules/typescript/bin/tsc": COMPILER,
    "node_modules/.package-lock.json": "{}",
  };
  for (const [path, text] of Object.entries(files)) await writeFile(join(checkout, path), text);
});

afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

async function launch(
  args: readonly string[] = [],
  options: { readonly file?: string; readonly path?: string } = {},
): Promise<{ readonly code: number | null; readonly stdout: string; readonly stderr: string }> {
  const { file = join(checkout, "agent_runtime"), path = process.env["PATH"] } = options;
  const child = new Child(file, args, { cwd: folder, env: { PATH: path } });
  const { code } = await child.ended();
  return { code, stdout: child.stdout, stderr: child.stderr };
}

/** Later than everything that was written so far, whatever the file system's clock can tell apart. */
async function touchLater(path: string): Promise<void> {
  const soon = new Date(performance.timeOrigin + performance.now() + 1_000);
  await utimes(join(checkout, path), soon, soon);
}

test("the first start builds and says so; the second says nothing", async () => {
  const first = await launch(["state", "a b", ""]);
  expect(first.stderr).toContain("building dist/");
  expect(first.code).toBe(0);
  expect(JSON.parse(first.stdout)).toEqual({ args: ["state", "a b", ""], cwd: folder });
  expect(await launch(["state"])).toMatchObject({ code: 0, stderr: "" });
});

test("it finds its checkout through relative and absolute links, from any folder", async () => {
  await mkdir(join(folder, "bin"));
  await symlink("../check out/agent_runtime", join(folder, "bin", "one"));
  await symlink(join(folder, "bin", "one"), join(folder, "two"));
  expect(await launch(["x"], { file: join(folder, "two") })).toMatchObject({ code: 0 });
  expect(await launch(["x"], { file: "bin/one" })).toMatchObject({ code: 0, stderr: "" });
});

test("of eight first starts at once, one builds and all run", async () => {
  const starts = await Promise.all(Array.from({ length: 8 }, () => launch(["state"])));
  expect(starts.map(({ code }) => code)).toEqual(Array.from({ length: 8 }, () => 0));
  expect(starts.filter(({ stderr }) => stderr.includes("building"))).toHaveLength(1);
});

test("a lock whose owner was killed holds nobody up", async () => {
  const dead = new Child("true", []);
  await dead.ended();
  await symlink(`process-${dead.pid}`, join(checkout, ".setup-lock"));
  expect(await launch()).toMatchObject({ code: 0 });
});

test("a lock whose owner lives is waited for", async () => {
  const lock = join(checkout, ".setup-lock");
  await symlink(`process-${process.pid}`, lock);
  const start = new Child(join(checkout, "agent_runtime"), [], { cwd: folder });
  await start.says(/waiting for process/, { on: "stderr" });
  await rm(lock);
  expect(await start.ended()).toMatchObject({ code: 0 });
});

test("a changed source is built again, a changed test is not", async () => {
  await launch();
  await touchLater("src/cli/main.js");
  expect((await launch()).stderr).toContain("building");

  await writeFile(join(checkout, "src", "cli", "main.test.ts"), "");
  await touchLater("src/cli/main.test.ts");
  await launch(); // the folder itself changed
  await touchLater("dist/.built");
  await utimes(join(checkout, "src/cli/main.test.ts"), 4e9, 4e9);
  expect((await launch()).stderr).toBe("");
});

test("a build that fails is reported and leaves nothing that would be taken for a good one", async () => {
  await writeFile(join(checkout, "src", "cli", "main.js"), "fault");
  for (const time of ["first", "second"]) {
    const failed = await launch();
    expect([time, failed.code, failed.stdout]).toEqual([time, 1, ""]);
    expect(failed.stderr).toContain("tsc ended with status 2");
  }
  await writeFile(join(checkout, "src", "cli", "main.js"), PROGRAM);
  expect(await launch()).toMatchObject({ code: 0 });
});

test("a package without sources starts what it brings", async () => {
  await launch();
  for (const path of ["src", "scripts", "node_modules"]) {
    await rm(join(checkout, path), { recursive: true });
  }
  expect(await launch(["x"])).toMatchObject({ code: 0, stderr: "" });
});

test.each(["v18.20.8", "v20.18.3"])(
  "Node.js %s is refused with what to install",
  async (version) => {
    const bin = join(folder, "bin");
    await mkdir(bin);
    await writeFile(join(bin, "node"), `#!/bin/sh\necho ${version}\n`);
    await chmod(join(bin, "node"), 0o755);
    const refused = await launch([], { path: `${bin}:${process.env["PATH"]}` });
    expect(refused).toMatchObject({ code: 1, stdout: "" });
    expect(refused.stderr).toContain(
      `this is Node.js ${version}. Node.js 20.19 or newer is needed`,
    );
  },
);
