import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { ServerLog } from "./server-log.ts";

function scratchLog(): ServerLog {
  const folder = mkdtempSync(path.join(os.tmpdir(), "server-log-"));
  const log = new ServerLog(path.join(folder, "main.log"));
  onTestFinished(() => {
    log.close();
    rmSync(folder, { recursive: true, force: true });
  });
  return log;
}

test("a log never takes more than two files of four mebibytes, and keeps the newest lines", () => {
  const log = scratchLog();
  const line = "x".repeat(1_000_000);
  for (let count = 0; count < 20; count += 1) log.write(`${count} ${line}`);
  log.write("the last one");

  const folder = path.dirname(log.file);
  expect(readdirSync(folder).toSorted()).toEqual(["main.log", "main.log.1"]);
  for (const name of readdirSync(folder)) {
    expect(statSync(path.join(folder, name)).size).toBeLessThan(6 * 1024 * 1024);
  }
  expect(readFileSync(log.file, "utf8").endsWith("the last one\n")).toBe(true);
  expect(log.tail().length).toBeLessThan(30_000);
});

test("the tail holds the last lines of this start alone", () => {
  const log = scratchLog();
  log.write("of the start before");
  log.forgetTail();
  for (let count = 0; count < 20; count += 1) log.write(`line ${count}`);
  expect(log.tail().split("\n")).toHaveLength(12);
  expect(log.tail()).toContain("line 19");
  expect(log.tail()).not.toContain("before");
});

test("a log that cannot be written still knows its tail", () => {
  const log = new ServerLog("/nowhere/at/all/main.log");
  log.write("FATAL: the disk is full");
  expect(log.tail()).toBe("FATAL: the disk is full");
});
