import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { ByteReader } from "./byte-reader.ts";
import { tarEntries } from "./tar-entries.ts";

/** What the system's tar makes of a folder. */
function archive(): Buffer {
  const folder = mkdtempSync(path.join(os.tmpdir(), "tar-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  mkdirSync(path.join(folder, "base/5"), { recursive: true });
  writeFileSync(path.join(folder, "base/5/1259"), "a".repeat(513));
  writeFileSync(path.join(folder, "base/5/empty"), "");
  writeFileSync(path.join(folder, "base/5/block"), "b".repeat(512));
  symlinkSync("5", path.join(folder, "base/link"));
  const sorted = ["--sort=name", "--format=ustar"];
  return execFileSync("tar", ["-C", folder, ...sorted, "-c", "base"]);
}

async function* pieces(bytes: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function list(bytes: Buffer, size: number): Promise<string[]> {
  const reader = new ByteReader(pieces(bytes, size));
  const got: string[] = [];
  for await (const entry of tarEntries(reader)) {
    const content = (await reader.read(entry.bytes))!.toString();
    got.push(`${entry.kind} ${entry.path} ${content.length}${content.slice(0, 1)}`);
  }
  return got;
}

test.each([1, 100, 512, 5_000, 100_000])("an archive in pieces of %i bytes", async (size) => {
  expect(await list(archive(), size)).toEqual([
    "folder base/ 0",
    "folder base/5/ 0",
    "file base/5/1259 513a",
    "file base/5/block 512b",
    "file base/5/empty 0",
    "other base/link 0",
  ]);
});

test("an archive that is cut, or none at all, is refused", async () => {
  await expect(list(archive().subarray(0, 2_100), 512)).rejects.toThrow("is cut");
  await expect(list(Buffer.alloc(512, "x"), 512)).rejects.toThrow("no tar archive");
});
