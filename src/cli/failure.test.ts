import { expect, test } from "vitest";
import { AgentRuntimeError, ERROR_STATUS } from "../state/errors.ts";
import type { ErrorCode } from "../state/errors.ts";
import {
  CommandFailed,
  EXIT,
  UsageError,
  describeError,
  errorToJson,
  exitCodeOf,
} from "./failure.ts";

const byExitCode: Readonly<Record<string, number>> = {
  VERSION_CONFLICT: EXIT.conflict,
  STEP_CONFLICT: EXIT.conflict,
  EPOCH_FENCED: EXIT.conflict,
  EFFECT_IN_DOUBT: EXIT.conflict,
  TASK_ENDED: EXIT.conflict,
  ALREADY_EXISTS: EXIT.conflict,
  COPY_DIVERGES: EXIT.conflict,
  NO_EARLIER_STEP: EXIT.conflict,
  STEP_QUARANTINED: EXIT.conflict,
  HISTORY_BROKEN: EXIT.conflict,
  RESTORE_REFUSED: EXIT.conflict,
  PRECONDITION_FAILED: EXIT.conflict,
  STATE_NOT_FOUND: EXIT.notFound,
  TASK_NOT_FOUND: EXIT.notFound,
  PARKED_NOT_FOUND: EXIT.notFound,
  VERSION_NOT_FOUND: EXIT.notFound,
  STEP_NOT_FOUND: EXIT.notFound,
  SCOPE_NOT_FOUND: EXIT.notFound,
  ROUTE_NOT_FOUND: EXIT.notFound,
  GONE: EXIT.notFound,
  GAP: EXIT.notFound,
  HISTORY_PRUNED: EXIT.notFound,
  UNAVAILABLE: EXIT.unavailable,
  ROLLBACK_LAGS: EXIT.unavailable,
  INVALID_CONFIG: EXIT.usage,
};

test.each(Object.keys(ERROR_STATUS) as ErrorCode[])("%s has its exit code", (code) => {
  expect(exitCodeOf(new AgentRuntimeError(code, "no"))).toBe(byExitCode[code] ?? EXIT.failed);
});

test("wrong usage is told apart from what failed", () => {
  expect(exitCodeOf(new UsageError("no such file"))).toBe(EXIT.usage);
  expect(exitCodeOf(new CommandFailed("3 lines were refused"))).toBe(EXIT.failed);
  expect(exitCodeOf(new TypeError("a fault of ours"))).toBe(EXIT.failed);
});

test("a service that cannot be reached is to be started", () => {
  const message = "the service could not be reached (ECONNREFUSED)";
  const error = new AgentRuntimeError("UNAVAILABLE", message, {
    mayHaveHappened: false,
    cause: new Error("ECONNREFUSED"),
  });
  expect(describeError(error)).toBe(
    `agent_runtime: ${message}\n` +
      "next: start a service (agent_runtime state), or name its address: --url URL",
  );
});

test("where another part cannot be reached, no service need be started", () => {
  const message = "The brokers: no answer from RocketMQ at mq:9876 (ECONNREFUSED).";
  const error = new AgentRuntimeError("UNAVAILABLE", message, { cause: new Error("ECONNREFUSED") });
  expect(describeError(error)).toBe(`agent_runtime: ${message}`);
});

test("a service that is busy is to be waited for", () => {
  const error = new AgentRuntimeError("UNAVAILABLE", "the queue is full", { retryAfterMs: 1_500 });
  expect(describeError(error)).toContain("next: retry in 2 s");
});

test("a service whose database refuses its key is to be configured anew", () => {
  const error = new AgentRuntimeError("UNAVAILABLE", "refused", { field: "supabase.mainKey" });
  expect(describeError(error)).toContain("next: correct supabase.mainKey in the configuration");
});

test("a write that may have happened is to be looked for first", () => {
  const error = new AgentRuntimeError("UNAVAILABLE", "broke off", { mayHaveHappened: true });
  expect(describeError(error)).toMatch(/next: the write may have happened: check/);
});

test("a conflict says the version to go on from", () => {
  const error = new AgentRuntimeError("VERSION_CONFLICT", "it moved", {
    current: { version: "7" },
  });
  expect(describeError(error)).toMatch(/next: it is at version 7 now: .* --if-version 7$/);
});

test("a gap says the cursor to go on from", () => {
  const error = new AgentRuntimeError("GAP", "too old", { resumeFrom: "abc" });
  expect(describeError(error)).toContain("next: resume with --after abc");
});

test("a fault of the program comes with its stack", () => {
  expect(describeError(new TypeError("x is undefined"))).toMatch(/fault of the program[^]*at /);
});

test("what a service says cannot move the cursor of a terminal", () => {
  const error = new AgentRuntimeError("INVALID_ID", "bad \u001b[2J", { current: null });
  expect(describeError(error)).toContain("bad \\u{1b}[2J");
});

test("programs get the code, the sentence and the facts", () => {
  const error = new AgentRuntimeError("VERSION_CONFLICT", "it moved", {
    current: { version: "7" },
    cause: new Error("inner"),
  });
  expect(JSON.parse(errorToJson(error))).toEqual({
    code: "VERSION_CONFLICT",
    message: "it moved",
    next: expect.stringContaining("version 7"),
    current: { version: "7" },
  });
  expect(JSON.parse(errorToJson(new TypeError("x")))).toEqual({ code: "INTERNAL", message: "x" });
});
