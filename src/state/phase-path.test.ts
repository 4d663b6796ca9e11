import { expect, test } from "vitest";
import { LIFECYCLES } from "./lifecycle.ts";
import { phasePath } from "./phase-path.ts";

test("a completed task is reached through its phases", () => {
  expect(phasePath("task", { from: null, to: "completed" })).toEqual([
    "ready",
    "working",
    "completed",
  ]);
  expect(phasePath("task", { from: "waiting", to: "completed" })).toEqual([
    "ready",
    "working",
    "completed",
  ]);
});

test("a state that is there has nowhere to go", () => {
  expect(phasePath("task", { from: "working", to: "working" })).toEqual([]);
});

test("nothing leads out of an end, to an unknown phase, or where there is no lifecycle", () => {
  expect(phasePath("task", { from: "completed", to: "working" })).toBeUndefined();
  expect(phasePath("task", { from: null, to: "sleeping" })).toBeUndefined();
  expect(phasePath("note", { from: null, to: "ready" })).toBeUndefined();
});

test.each(Object.entries(LIFECYCLES))(
  "every phase of %s can be reached, by legal moves alone",
  (type, { phases, initial, transitions }) => {
    for (const to of phases) {
      const [first, ...rest] = phasePath(type, { from: null, to })!;
      expect(initial).toContain(first);
      let from = first!;
      for (const next of rest) {
        expect(transitions[from]![next]).toBe("change");
        from = next;
      }
      expect(from).toBe(to);
    }
  },
);
