import { expect, test } from "vitest";
import { AgentRuntimeError } from "../state/errors.ts";
import { failureOf, sqlState } from "./failure.ts";

const withCode = (code: string, message = "no"): Error =>
  Object.assign(new Error(message), { code });

test.each([
  ["a socket that broke", withCode("ECONNRESET"), true],
  ["a server that says it goes down", withCode("57P01"), true],
  ["a pooler that lost its server", withCode("08P01"), true],
  ["a time-out of the driver", new Error("Query read timeout"), true],
  ["a statement that was canceled", withCode("57014"), false],
  ["a server without room", withCode("53300"), false],
  ["a lost race", withCode("PT503"), false],
  ["a deadlock", withCode("40P01"), false],
  ["a completion that is unknown", withCode("40003"), true],
])("after %s a write that was sent is unavailable, and open or not", (_name, error, isOpen) => {
  const failure = failureOf(error, true);
  expect(failure).toMatchObject({ code: "UNAVAILABLE", facts: { mayHaveHappened: isOpen } });
  expect(failure.message).toContain(isOpen ? "same idempotency key" : "Nothing happened");
  expect(failure.facts.retryAfterMs).toBeGreaterThan(0);
});

test("what was never sent has not happened, whatever broke", () => {
  for (const code of ["ECONNREFUSED", "57P01", "08006"]) {
    expect(failureOf(withCode(code), false).facts.mayHaveHappened).toBe(false);
  }
});

test("a refusal that no rule of ours gives is a fault of the program, and changed nothing", () => {
  const failure = failureOf(withCode("42P01", 'relation "x" does not exist'), true);
  expect(failure).toMatchObject({ code: "INTERNAL", facts: { mayHaveHappened: false } });
  expect(failure.message).toContain('42P01: relation "x" does not exist');
});

test.each([
  [
    "28P01",
    'password authentication failed for user "app"',
    "UNAVAILABLE",
    /Check the user, the password/,
  ],
  ["3D000", 'database "nodb" does not exist', "UNAVAILABLE", /Check the user, the password/],
  [
    "42501",
    "permission denied for schema agent_state_api",
    "UNAVAILABLE",
    /doctor. says what to grant/,
  ],
  [
    "42883",
    "function agent_state_api.push_tasks(p_a => text) does not exist",
    "SCHEMA_MISMATCH",
    /another version/,
  ],
  ["3F000", 'schema "agent_state_api" does not exist', "SCHEMA_MISMATCH", /another version/],
])("%s (%s) is no fault of the program: it says what to put right", (state, said, code, advice) => {
  const failure = failureOf(withCode(state, said), true);
  expect(failure).toMatchObject({ code, facts: { mayHaveHappened: false } });
  expect(failure.message).toContain(`${state}: ${said}`);
  expect(failure.message).toMatch(advice);
  expect(failure.message).not.toContain("fault of this program");
});

test("an error of ours passes as it is", () => {
  const error = new AgentRuntimeError("GAP", "too old");
  expect(failureOf(error, true)).toBe(error);
});

test("only what PostgreSQL sent has a SQLSTATE", () => {
  expect(
    ["PT409", "23505", "EPIPE", "ETIME", "", 42, undefined].map((code) => sqlState({ code })),
  ).toEqual(["PT409", "23505", ...Array<undefined>(5).fill(undefined)]);
  expect([sqlState(null), sqlState("23505"), sqlState(new Error("x"))]).toEqual([
    undefined,
    undefined,
    undefined,
  ]);
});
