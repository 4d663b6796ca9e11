import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";
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

const run = promisify(execFile);

async function firstProgram(): Promise<string> {
  const text = await readFile(join(packageRoot(), "README.md"), "utf8");
  return /```ts\n([\s\S]*?)```/.exec(text)![1]!;
}

function settingsFor(main: string): object {
  return { supabase: { main }, log: { level: "silent" } };
}
