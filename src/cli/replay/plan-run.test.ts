import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { JsonObject } from "../../state/json.ts";
import { lifecycleOf } from "../../state/lifecycle.ts";
import type { ChangeRequest } from "../../state/request.ts";
import { toJson } from "../print/json.ts";
import { planRun } from "./plan-run.ts";
import type { RunPlan } from "./plan-run.ts";
import type { RecordedEvent, RecordedRun } from "./recorded-run.ts";

const user = (content: string): RecordedEvent => ({
  kind: "says",
  by: "user",
  message: { role: "user", content },
});
const agent = (content: string): RecordedEvent => ({
  kind: "says",
  by: "agent",
  message: { role: "assistant", content },
});
const calls = (...keys: string[]): RecordedEvent => ({
  kind: "calls",
  message: { role: "assistant", content: null, tool_calls: keys },
  calls: keys.map((key) => ({ key, name: `tool_${key}`, arguments: { key } })),
});
const returns = (key: string, durationMs?: number): RecordedEvent => ({
  kind: "returns",
  key,
  message: { role: "tool", content: `result of ${key}` },
  ...(durationMs === undefined ? {} : { durationMs }),
});

function run(events: readonly RecordedEvent[], isGood = true): RecordedRun {
  return {
    name: "run-1",
    source: "a test",
    briefing: [{ role: "system", content: "be kind" }],
    request: { role: "user", content: "help me" },
    events,
    outcome: { isGood, result: { reward: 1 } },
  };
}

/** The phases of each state after the plan; throws at the first move that its lifecycle refuses. */
function phasesAfter(plan: RunPlan): Map<string, string> {
  const phases = new Map<string, string>();
  for (const { changes } of plan.steps) {
    const ids = changes.map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
    for (const change of changes) advance(phases, change);
    const working = [...phases].filter(
      ([id, phase]) => id.includes(".task") && phase === "working",
    );
    expect(working.length).toBeLessThanOrEqual(1);
  }
  return phases;
}

function advance(phases: Map<string, string>, change: ChangeRequest): void {
  if (change.op === "update") {
    expect(phases.has(change.id)).toBe(false);
    phases.set(change.id, change.phase ?? lifecycleOf(change.type)?.first ?? "");
    return;
  }
  const from = phases.get(change.id);
  expect(from).toBeDefined();
  if (change.phase === undefined) return;
  const type = change.id.includes(".task") ? "task" : "agent";
  const isLegal =
    from === change.phase || lifecycleOf(type)!.transitions[from!]![change.phase] === "change";
  expect({ id: change.id, from, to: change.phase, isLegal }).toMatchObject({ isLegal: true });
  phases.set(change.id, change.phase);
}

/** What the conversation holds after the plan. */
function messagesAfter(plan: RunPlan): unknown[] {
  return plan.steps
    .flatMap(({ changes }) => changes)
    .filter(({ id }) => id === plan.conversation)
    .flatMap((change): unknown[] => {
      if (change.op === "append") return [...change.items];
      return change.op === "update" ? ((change.data as JsonObject)["messages"] as unknown[]) : [];
    });
}

describe("a conversation with a tool call", () => {
  const events = [calls("a"), returns("a", 240), agent("which one?"), user("that"), agent("done")];
  const plan = planRun(run(events), "p-");

  test("makes an agent that stops, a task that is completed and a child that has its result", () => {
    expect(Object.fromEntries(phasesAfter(plan))).toEqual({
      "p-run-1": "stopped",
      "p-run-1.conversation": "",
      "p-run-1.task": "completed",
      "p-run-1.task.1": "completed",
    });
    const result = plan.steps
      .flatMap(({ changes }) => changes)
      .find((change) => change.id === "p-run-1.task.1" && change.phase === "completed");
    expect(result).toMatchObject({ op: "merge", patch: { result: "result of a" } });
  });

  test("keeps every message, in order", () => {
    expect(messagesAfter(plan).map((message) => (message as JsonObject)["content"])).toEqual([
      "be kind",
      "help me",
      null,
      "result of a",
      "which one?",
      "that",
      "done",
    ]);
    expect(plan.messages).toBe(7);
  });

  test("waits for the user where the agent asks, and for the tool while that works", () => {
    const moves = plan.steps
      .flatMap(({ changes }) => changes)
      .filter(({ id, phase }) => id === plan.task && phase !== undefined)
      .map(({ phase }) => phase);
    expect(moves).toEqual([
      "ready",
      "working",
      "waiting",
      "ready",
      "working",
      "input_required",
      "ready",
      "working",
      "completed",
    ]);
  });

  test("takes the tool's own time, and a second for each message", () => {
    const waits = plan.steps.filter(({ waitMs }) => waitMs > 0);
    expect(waits.map(({ cause, waitMs }) => [cause, waitMs])).toEqual([
      ["asks", 1_000],
      ["calls tool_a", 1_000],
      ["returns", 240],
      ["answers", 1_000],
      ["answers", 1_000],
      ["answers", 1_000],
      ["is done", 1_000],
    ]);
  });

  test("is the same each time, but for the prefix", () => {
    expect(planRun(run(events), "p-")).toEqual(plan);
    const other = toJson(planRun(run(events), "q-"));
    expect(JSON.parse(other.replaceAll("q-run-1", "p-run-1"))).toEqual(JSON.parse(toJson(plan)));
  });
});

test("a run that did not reach its goal ends as failed, and calls without a result are canceled", () => {
  const phases = phasesAfter(planRun(run([calls("a", "b"), returns("b")], false), ""));
  expect(Object.fromEntries(phases)).toMatchObject({
    "run-1.task": "failed",
    "run-1.task.1": "canceled",
    "run-1.task.2": "completed",
  });
});

test("whatever was recorded, every phase moves legally, at most one task works, no message is lost", () => {
  const key = fc.constantFrom("a", "b", "c");
  const event = fc.oneof(
    fc.constant(user("u")),
    fc.constant(agent("a")),
    fc.uniqueArray(key, { minLength: 1 }).map((keys) => calls(...keys)),
    key.map((each) => returns(each)),
  );
  fc.assert(
    fc.property(fc.array(event, { maxLength: 30 }), fc.boolean(), (events, isGood) => {
      const plan = planRun(run(events, isGood), "");
      const phases = phasesAfter(plan);
      expect(phases.get("run-1")).toBe("stopped");
      expect(phases.get("run-1.task")).toBe(isGood ? "completed" : "failed");
      expect(messagesAfter(plan)).toHaveLength(events.length + 2);
      expect(plan.messages).toBe(events.length + 2);
      expect(phases.size).toBe(plan.tasks + 2);
      const children = [...phases].filter(([id]) => id.startsWith("run-1.task."));
      for (const [, phase] of children) expect(["completed", "canceled"]).toContain(phase);
    }),
  );
});
