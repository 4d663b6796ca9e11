import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { expect, onTestFinished, test } from "vitest";
import { packageRoot } from "../../src/service/package-root.ts";
import { describeOnHomes, oneHome } from "../support/homes.ts";

// Whoever adopts the library starts by pasting this: it has to run as it stands there.
describeOnHomes(
  "the README",
  (home) => {
    test("has a first program that runs", async () => {
      const database = await home.createDatabase();
      try {
        const program = (await firstProgram())
          .replace("agent-runtime-state", pathToFileURL(join(packageRoot(), "dist/index.js")).href)
          .replace('{ dataDir: ".agent_runtime" }', JSON.stringify(settingsFor(database.url)));
        const { stdout } = await run("node", ["--input-type=module", "--eval", program]);
        expect(stdout).toContain("trip-42 2n { goal: 'book two flights' }");
        expect(stdout).toMatch(/trip-42\.talk 2n .*two, please/);
      } finally {
        await database.drop();
      }
    });
  },
  oneHome(),
);

test("the README's programs pass the strictest checks of those who install the package", async () => {
  const folder = await mkdtemp(join(tmpdir(), "art-readme-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const root = packageRoot();
  const modules = join(folder, "node_modules");
  await mkdir(modules);
  await symlink(root, join(modules, "agent-runtime-state"));
  await symlink(join(root, "node_modules/@types"), join(modules, "@types"));
  await writeFile(join(folder, "package.json"), '{ "type": "module" }');
  const act = "declare function act(step: number): Promise<{ receipt: string }>;";
  await writeFile(join(folder, "program.ts"), [...(await programs()), act].join("\n"));
  const compiler = join(root, "node_modules/typescript/bin/tsc");
  const { stdout } = await run("node", [compiler, ...STRICT, "program.ts"], { cwd: folder }).catch(
    (error: unknown) => error as { stdout: string },
  );
  expect(stdout).toBe("");
});

const STRICT = [
  "--noEmit --strict --exactOptionalPropertyTypes --noUncheckedIndexedAccess --skipLibCheck false",
  "--module nodenext --target es2022 --types node",
].flatMap((line) => line.split(" "));

const run = promisify(execFile);

async function firstProgram(): Promise<string> {
  const [first] = await programs();
  return first!;
}

async function programs(): Promise<string[]> {
  const text = await readFile(join(packageRoot(), "README.md"), "utf8");
  return Array.from(text.matchAll(/```ts\n([\s\S]*?)```/g), ([, program]) => program!);
}

function settingsFor(main: string): object {
  return { supabase: { main }, log: { level: "silent" } };
}
