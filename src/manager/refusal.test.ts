import { expect, test } from "vitest";
import { ERROR_STATUS } from "../state/errors.ts";
import type { ChangeRow, PreparedUnit, StoredState } from "../state/ports.ts";
import { refusal, wantsCurrent } from "./refusal.ts";

const unit: PreparedUnit = {
  namespace: "default",
  scope: "team",
  changes: [
    {
      op: "update",
      id: "a",
      type: "other",
      body: '{"x":2}',
      phase: "working",
      expectedVersion: 3n,
      basedOn: null,
      expiresAt: null,
    },
  ],
  expectedStep: 4n,
  actor: null,
  cause: null,
  idempotencyKey: "key",
};

function row(code: string, detail: string | null = null): ChangeRow {
  return {
    code,
    detail,
    type: "task",
    scope: "theirs",
    version: 7n,
    step: 9n,
    phase: "submitted",
    digest: "",
    created: false,
    at: new Date(0),
  };
}

test.each([
  ["VERSION_CONFLICT", /at version 7, not 3/],
  ["ALREADY_EXISTS", /exists already, at version 7/],
  ["STATE_NOT_FOUND", /no state "a" in namespace "default"/],
  ["GONE", /deleted at version 7/],
  ["INVALID_TYPE", /of type "task".*cannot become "other"/],
  ["INVALID_SCOPE", /belongs to scope "theirs".*"team"/],
  ["STEP_CONFLICT", /at step 9, not 4/],
  ["SCOPE_ON_HOLD", /"theirs" is on hold/],
  ["ILLEGAL_TRANSITION", /from phase submitted to "working"; it may be ready, .*canceled/],
  ["INVALID_PHASE", /no phase "working"; did you mean "working"\?$/],
  ["INVALID_PATCH", /no reason given/],
  ["PAYLOAD_TOO_LARGE", /beyond its limit/],
  ["IDEMPOTENCY_KEY_REUSED", /"key" was used for another write/],
])("%s says what is and what was asked, and that nothing happened", (code, message) => {
  const error = refusal(unit, 0, row(code), null);
  expect(error.code).toBe(code);
  expect(Object.keys(ERROR_STATUS)).toContain(code);
  expect(error.message).toMatch(message);
  expect(error.facts.mayHaveHappened).toBe(false);
});

test("who may go nowhere from here, or begins wrongly, is told so", () => {
  const message = (phase: string | null): string =>
    refusal(unit, 0, { ...row("ILLEGAL_TRANSITION"), phase }, null).message;
  expect(message("failed")).toContain("nothing leads on from there");
  expect(message(null)).toContain('may not begin in phase "working"; it may be submitted, ready');
});

const current: StoredState = {
  namespace: "default",
  id: "a",
  type: "task",
  scope: "theirs",
  version: 7n,
  step: 9n,
  phase: "submitted",
  digest: "d",
  createdAt: new Date(0),
  updatedAt: new Date(1_000),
  expiresAt: null,
  deleted: false,
  text: '{"x":1}',
};

test("a conflict carries the state as it is, and what the refused write would have changed", () => {
  const { facts } = refusal(unit, 0, row("VERSION_CONFLICT"), current);
  expect(facts.current).toMatchObject({
    id: "a",
    version: "7",
    step: "9",
    data: { x: 1 },
    updatedAt: "1970-01-01T00:00:01.000Z",
  });
  expect(facts.diff).toEqual([{ op: "replace", path: "/x", value: 2 }]);
});

test("what has expired and was not deleted yet is not said to be there for long", () => {
  const expired = { ...current, expiresAt: new Date(Date.now() - 1) };
  expect(refusal(unit, 0, row("ALREADY_EXISTS"), expired).message).toMatch(
    /^"a" has expired.*again/,
  );
  const later = { ...current, expiresAt: new Date(Date.now() + 60_000) };
  expect(refusal(unit, 0, row("ALREADY_EXISTS"), later).message).toContain("exists already");
});

test("the state is only looked up where it helps", () => {
  const codes = [
    "VERSION_CONFLICT",
    "ALREADY_EXISTS",
    "ILLEGAL_TRANSITION",
    "STATE_NOT_FOUND",
    "SCOPE_ON_HOLD",
  ];
  expect(codes.map((code) => wantsCurrent(row(code)))).toEqual([true, true, true, false, false]);
});

test("what the patch's fault is comes from the database", () => {
  expect(refusal(unit, 0, row("INVALID_PATCH", "there is no array"), null).message).toContain(
    "there is no array",
  );
});
