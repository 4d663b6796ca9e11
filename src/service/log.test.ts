import fs from "node:fs";
import { expect, test, vi } from "vitest";
import { AgentRuntimeError } from "../state/errors.ts";
import type { LogFormat, LogLevel } from "./log.ts";
import { createLogger } from "./log.ts";

function logger(format: LogFormat = "json", level: LogLevel = "info") {
  const lines: string[] = [];
  const log = createLogger({ level, format, write: (line) => lines.push(line) });
  return { log, lines };
}

test("one event is one line of JSON with time, level, facts and message", () => {
  const { log, lines } = logger();
  log.info({ part: "feed", changes: 3 }, "caught up");
  expect(lines).toHaveLength(1);
  expect(lines[0]).toMatch(/\n$/);
  expect(JSON.parse(lines[0]!)).toEqual({
    level: "info",
    time: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
    part: "feed",
    changes: 3,
    msg: "caught up",
  });
});

test("what is below the level is not written, and silent writes nothing", () => {
  const warn = logger("json", "warn");
  warn.log.info({}, "no");
  warn.log.warn({}, "yes");
  expect(warn.lines).toHaveLength(1);
  const silent = logger("json", "silent");
  silent.log.error({}, "no");
  expect(silent.lines).toEqual([]);
});

test.each(["json", "pretty"] as const)("no secret gets into a %s line", (format) => {
  const { log, lines } = logger(format, "debug");
  const secret = "hunter2hunter2";
  const cause = new Error(`cannot reach postgres://app:${secret}@db/main`);
  const error = new AgentRuntimeError("UNAVAILABLE", "No database.", {
    cause,
    current: { note: secret },
  });
  log.error({ error, request: { headers: { Authorization: `Bearer ${secret}` } } }, "failed");
  log.debug({ url: `postgres://app:${secret}@db/main`, list: [{ password: secret }] }, "opened");
  log.info({ token: secret, apiKey: secret }, `got Authorization: Bearer ${secret}`);
  log.warn({ cookie: [secret, secret] }, `see postgres://db/main?password=${secret}`);
  expect(lines).toHaveLength(4);
  expect(lines.join("")).not.toContain(secret);
});

test("an error is told with its code and its causes, without the documents it carries", () => {
  const { log, lines } = logger();
  const cause = Object.assign(new Error("refused"), { code: "ECONNREFUSED" });
  const error = new AgentRuntimeError("UNAVAILABLE", "No database.", {
    cause,
    current: "document",
  });
  log.error({ error }, "failed");
  const line = JSON.parse(lines[0]!) as { error: object };
  expect(line.error).toMatchObject({
    name: "AgentRuntimeError",
    code: "UNAVAILABLE",
    message: "No database.",
    cause: { code: "ECONNREFUSED", message: "refused" },
  });
  expect(lines[0]).not.toContain("document");
});

test("a circle of causes ends", () => {
  const { log, lines } = logger();
  const error = new Error("round");
  error.cause = error;
  log.error({ error }, "failed");
  expect(lines[0]!.match(/"round"/g)).toHaveLength(6);
});

test("the pretty form is a line for people, with the stack below", () => {
  const { log, lines } = logger("pretty");
  log.warn({ attempt: 2, name: "main", note: "two words" }, "trying again");
  log.error({ error: new Error("broken pipe") }, "gave up");
  expect(lines[0]).toMatch(
    /^\d\d:\d\d:\d\d\.\d{3} WARN  trying again  attempt=2 name=main note="two words"\n$/,
  );
  expect(lines[1]).toMatch(
    /ERROR gave up {2}error="broken pipe"\n {4}Error: broken pipe\n {4} +at /,
  );
});

test("a pretty line cannot be forged by what is logged", () => {
  const { log, lines } = logger("pretty");
  log.info({ id: "a\n00:00:00.000 ERROR forged" }, "read\n\u001b[2J\u202ex");
  expect(lines[0]!.trimEnd()).not.toMatch(/[\p{Cc}\p{Cf}]/u);
});

test("a logger writes to standard error and leaves standard output alone", () => {
  const spy = vi
    .spyOn(fs, "writeSync")
    .mockImplementation((_file: number, text: unknown) => String(text).length);
  try {
    createLogger({ level: "info", format: "json" }).info({}, "hello");
    createLogger({ level: "info", format: "pretty" }).info({}, "hello");
    expect(spy.mock.calls.map(([file]) => file)).toEqual([2, 2]);
  } finally {
    spy.mockRestore();
  }
});

test("a log without room for its lines ends nobody, and writes them once there is some", () => {
  const written: string[] = [];
  let isFull = true;
  const spy = vi.spyOn(fs, "writeSync").mockImplementation((_file: number, text: unknown) => {
    if (isFull) throw Object.assign(new Error("no space left on device"), { code: "ENOSPC" });
    written.push(String(text));
    return Buffer.byteLength(String(text));
  });
  try {
    const log = createLogger({ level: "info", format: "json" });
    log.info({}, "first");
    for (let line = 0; line < 200; line += 1) log.info({ text: "x".repeat(10_000) }, "more");
    expect(written).toEqual([]);
    isFull = false;
    log.info({}, "last");
    log.info({}, "after");
    const text = written.join("");
    expect(text).toMatch(/^\{[^\n]*"msg":"first"\}\n/);
    expect(text).toMatch(/"msg":"after"\}\n$/);
    expect(text.length).toBeLessThan(2 * 1024 * 1024); // What it keeps for later is bounded.
  } finally {
    spy.mockRestore();
  }
});
