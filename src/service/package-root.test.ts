import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { findPackage, packageRoot, packageVersion } from "./package-root.ts";

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "package-root-"));
});

afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

test("the package's root holds its package.json, and the version is the one in there", () => {
  expect(existsSync(join(packageRoot(), "tsconfig.json"))).toBe(true);
  const file = JSON.parse(readFileSync(join(packageRoot(), "package.json"), "utf8")) as unknown;
  expect(file).toMatchObject({ name: "agent-runtime-state", version: packageVersion() });
});

test("the root is found from any depth, past the package.json of somebody else", () => {
  const deep = join(folder, "build", "src", "service");
  mkdirSync(deep, { recursive: true });
  writeFileSync(join(folder, "package.json"), '{"name":"agent-runtime-state","version":"9.8.7"}');
  writeFileSync(join(folder, "build", "package.json"), '{"type":"module"}');

  expect(findPackage(deep)).toEqual({ root: folder, version: "9.8.7" });
});

test("an installation without its package.json is refused with the folder that was searched", () => {
  expect(() => findPackage(folder)).toThrow(folder);
});
