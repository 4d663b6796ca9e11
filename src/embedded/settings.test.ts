import { expect, test } from "vitest";
import { settingsText } from "./settings.ts";

const INPUT = {
  major: 18,
  hasLz4: false,
  sharedBuffersMiB: 64,
  name: "readonly",
  mainConnection: String.raw`host='/a\'b\\c' port=5432`,
  keptLogMiB: 100,
} as const;

test("a value with quotes and backslashes is written so that it is read as it was", () => {
  const line = /^primary_conninfo = '(.*)'$/m.exec(settingsText(INPUT))![1]!;
  expect(line.replaceAll(/\\(.)/g, "$1")).toBe(INPUT.mainConnection);
  expect(line).not.toMatch(/(?<!\\)'/);
});

test("only main keeps as many pages as it is told, and only the replica follows", () => {
  const of = (name: "main" | "readonly" | "rollback"): string => settingsText({ ...INPUT, name });
  expect(of("main")).toContain("shared_buffers = '64MB'");
  expect(of("readonly")).toContain("shared_buffers = '32MB'");
  expect(of("rollback")).toContain("shared_buffers = '16MB'");
  expect(settingsText({ ...INPUT, sharedBuffersMiB: 8 })).toContain("shared_buffers = '8MB'");
  expect(of("main") + of("rollback")).not.toContain("primary_conninfo");
});

test("on a small disk the log of a server takes no more than its share", () => {
  const of = (keptLogMiB: number): string =>
    /max_wal_size = '(.*)'/.exec(settingsText({ ...INPUT, keptLogMiB }))![1]!;
  expect([of(4_096), of(200), of(1)]).toEqual(["1024MB", "200MB", "96MB"]);
});
