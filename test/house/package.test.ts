import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { packageRoot } from "../../src/service/package-root.ts";

test("versions are held back in a way that reaches those who install the package", async () => {
  const about = await json("package.json");
  // npm heeds the overrides of the project that it installs, and of no package in it.
  expect(about).not.toHaveProperty("overrides");
  expect(about).toHaveProperty(["dependencies", "light-my-request"], "6.6.0");
});

test("source maps hold their sources, which are not in the package", async () => {
  const map = await json("dist/index.js.map");
  expect(map["sourcesContent"]).toEqual([expect.stringContaining("export")]);
});

async function json(file: string): Promise<Record<string, unknown>> {
  return JSON.parse(await readFile(join(packageRoot(), file), "utf8")) as Record<string, unknown>;
}
