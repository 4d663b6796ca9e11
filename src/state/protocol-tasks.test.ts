import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { LIFECYCLES } from "./lifecycle.ts";
import { taskPhases } from "./lifecycle-tables.ts";
import { fromA2a, fromMcp, standingOf, TASK_EXTENSION, toA2a, toMcp } from "./protocol-tasks.ts";
import type { A2aTaskState, McpTaskStatus, TaskPhase, TaskStanding } from "./protocol-tasks.ts";

const A2A_STATES: readonly A2aTaskState[] = [
  "TASK_STATE_UNSPECIFIED",
  "TASK_STATE_SUBMITTED",
  "TASK_STATE_WORKING",
  "TASK_STATE_INPUT_REQUIRED",
  "TASK_STATE_AUTH_REQUIRED",
  "TASK_STATE_COMPLETED",
  "TASK_STATE_FAILED",
  "TASK_STATE_CANCELED",
  "TASK_STATE_REJECTED",
];
const MCP_WORDS: readonly (readonly [McpTaskStatus, boolean])[] = [
  ["working", false],
  ["input_required", false],
  ["completed", false],
  ["completed", true],
  ["failed", false],
  ["cancelled", false],
];
const ENDS = ["completed", "failed", "cancelled"];

const long = fc.bigInt({ min: 0n, max: 2n ** 63n - 1n }).map(String);
const standing: fc.Arbitrary<TaskStanding> = fc
  .record({
    phase: fc.constantFrom(...taskPhases),
    attempt: fc.nat(9),
    version: long,
    epoch: long,
    seq: fc.option(long),
    depth: fc.nat(9),
    errorKind: fc.constantFrom("tool", "protocol"),
    reason: fc.option(fc.string()),
  })
  .map((one) => ({ ...one, errorKind: one.phase === "failed" ? one.errorKind : null }));

function of(
  phase: TaskPhase,
  attempt = 1,
  errorKind: TaskStanding["errorKind"] = null,
): TaskStanding {
  return { phase, attempt, version: "1", epoch: "1", seq: "1", depth: 0, errorKind, reason: null };
}

describe("a task, as the protocols between agents tell it", () => {
  test.each([
    [of("submitted", 0), "SUBMITTED", "working: submitted"],
    [of("ready", 0), "SUBMITTED", "working: ready"],
    [of("ready", 1), "WORKING", "working: ready"],
    [of("working"), "WORKING", "working"],
    [of("suspended"), "WORKING", "working: suspended"],
    [of("waiting"), "WORKING", "working: waiting"],
    [of("canceling"), "WORKING", "working: canceling"],
    [of("input_required"), "INPUT_REQUIRED", "input_required"],
    [of("auth_required"), "AUTH_REQUIRED", "input_required"],
    [of("confused"), "UNSPECIFIED", "working: confused"],
    [of("completed"), "COMPLETED", "completed"],
    [of("failed", 1, "protocol"), "FAILED", "failed"],
    [of("failed", 1, "tool"), "FAILED", "completed, an error"],
    [of("canceled"), "CANCELED", "cancelled"],
    [of("rejected"), "REJECTED", "failed"],
  ] as const)("%o is %s in A2A, and %s in MCP", (one, a2a, mcp) => {
    expect(toA2a(one).state).toBe(`TASK_STATE_${a2a}`);
    const { status, statusMessage, isError } = toMcp(one);
    const message = statusMessage === undefined ? "" : `: ${statusMessage}`;
    expect(`${status}${message}${isError ? ", an error" : ""}`).toBe(mcp);
  });

  test("comes back as it was, whatever it was, through JSON", () => {
    const through = <Value>(value: Value): Value => JSON.parse(JSON.stringify(value)) as Value;
    fc.assert(
      fc.property(standing, (one) => {
        expect(fromA2a(through(toA2a(one)))).toEqual(one);
        expect(fromMcp(through(toMcp(one)))).toEqual(one);
      }),
    );
  });

  test("of somebody else is told again by the same word", () => {
    for (const state of A2A_STATES) expect(toA2a(fromA2a({ state })).state).toBe(state);
    for (const [status, isError] of MCP_WORDS)
      expect(toMcp(fromMcp({ status, isError }))).toMatchObject({ status, isError });
  });

  test("never leaves an end, and is never new again after it began", () => {
    for (const [from, moves] of Object.entries(LIFECYCLES.task.transitions)) {
      const before = of(from as TaskPhase, 1, from === "failed" ? "tool" : null);
      for (const to of Object.keys(moves)) {
        const after = of(to as TaskPhase, 1, to === "failed" ? "tool" : null);
        const words = [toA2a(before).state, toA2a(after).state];
        expect(words[0], `${from} to ${to}`).not.toMatch(/COMPLETED|FAILED|CANCELED|REJECTED/);
        expect(ENDS, `${from} to ${to}`).not.toContain(toMcp(before).status);
        if (from !== "submitted" && moves[to] === "change")
          expect(words[1], `${from} to ${to}`).not.toBe("TASK_STATE_SUBMITTED");
      }
    }
  });

  test("believes its word where what came beside says otherwise, or is not whole", () => {
    const { metadata } = toA2a(of("completed"));
    expect(fromA2a({ state: "TASK_STATE_WORKING", metadata: metadata! }).phase).toBe("working");
    for (const odd of [null, [], "x", { phase: "done" }, { ...of("working"), epoch: 1 }]) {
      const beside = { [TASK_EXTENSION]: odd as never };
      const { version } = fromMcp({ status: "working", isError: false, _meta: beside });
      expect(version).toBe("0");
    }
  });

  test("is made of a task as it is read", () => {
    const task = { phase: "failed", attempt: 2, depth: 1, epoch: 7n, seq: null };
    const told = (error: unknown): TaskStanding => standingOf({ ...task, error } as never, 9n);
    expect(told({ message: "no" })).toEqual({
      phase: "failed",
      attempt: 2,
      version: "9",
      epoch: "7",
      seq: null,
      depth: 1,
      errorKind: "tool",
      reason: "no",
    });
    expect(told({ errorKind: "protocol" })).toMatchObject({ errorKind: "protocol", reason: null });
    expect(told("no")).toMatchObject({ errorKind: "tool", reason: null });
  });
});
