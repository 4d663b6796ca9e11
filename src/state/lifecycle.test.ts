import { expect, test } from "vitest";
import {
  LIFECYCLES,
  lifecycleOf,
  lifecycleRows,
  mayCreateAs,
  mayMove,
  nextPhases,
  phaseAdvice,
} from "./lifecycle.ts";

const types = Object.keys(LIFECYCLES) as (keyof typeof LIFECYCLES)[];

/** The arrows of a type that any change may take, as `from > to to to`. */
function arrows(type: keyof typeof LIFECYCLES): string[] {
  return Object.entries(LIFECYCLES[type].transitions).map(([from, row]) => {
    const targets = Object.keys(row).filter((to) => row[to] === "change");
    return `${from} > ${targets.toSorted().join(" ")}`.trim();
  });
}

// Written out once more, in the words of the model, so that no cell of a table changes unnoticed.
test("tasks move as the model says", () => {
  expect(arrows("task")).toEqual([
    "submitted > canceled failed ready rejected",
    "ready > canceled failed rejected working",
    "working > auth_required canceling completed confused failed input_required ready rejected suspended waiting",
    "suspended > canceled confused failed ready",
    "waiting > canceled confused failed ready",
    "input_required > canceled confused failed ready rejected",
    "auth_required > canceled confused failed ready rejected",
    "canceling > canceled completed confused failed",
    "confused > canceled failed",
    "completed >",
    "failed >",
    "canceled >",
    "rejected >",
  ]);
});

test("agents move as the model says", () => {
  expect(arrows("agent")).toEqual([
    "registered > starting",
    "starting > failed idle",
    "idle > busy draining paused unreachable",
    "busy > draining failed idle paused unreachable",
    "paused > draining idle",
    "unreachable > failed idle",
    "draining > failed stopped",
    "failed > starting stopped",
    "stopped > registered",
  ]);
});

test("sandboxes move as the model says", () => {
  expect(arrows("lifecycle")).toEqual([
    "requested > creating deleted failed paused pending running stopped stopping unknown",
    "pending > creating deleted failed paused running stopped stopping unknown",
    "creating > deleted failed paused running stopped stopping unknown",
    "running > creating deleted failed paused pausing stopped stopping unknown",
    "pausing > creating deleted failed paused running stopped stopping unknown",
    "paused > creating deleted failed resuming running stopped stopping unknown",
    "resuming > creating deleted failed paused running stopped stopping unknown",
    "stopping > creating deleted failed paused running stopped unknown",
    "stopped > creating deleted failed paused running stopping unknown",
    "failed > creating deleted paused running stopped stopping unknown",
    "unknown > creating deleted failed paused pending requested running stopped stopping",
    "deleted >",
  ]);
});

test("only a rollback or repair leads a task out of confusion and on", () => {
  for (const to of LIFECYCLES.task.phases) {
    const isOpen = !LIFECYCLES.task.terminal.includes(to);
    const byOperator = to === "failed" || to === "canceled" || to === "confused";
    expect(mayMove("task", "confused", to, "change")).toBe(byOperator);
    expect(mayMove("task", "confused", to, "repair")).toBe(isOpen || byOperator);
  }
});

test("a rollback or repair moves between any two phases that are not terminal, and ends nothing by itself", () => {
  for (const type of types) {
    const { phases, terminal } = LIFECYCLES[type];
    const open = phases.filter((phase) => !terminal.includes(phase));
    for (const from of open) {
      for (const to of open) expect(mayMove(type, from, to, "repair")).toBe(true);
      for (const to of terminal) {
        expect(mayMove(type, from, to, "repair")).toBe(mayMove(type, from, to, "change"));
      }
    }
  }
});

test("nothing leaves a terminal phase, and staying is always legal", () => {
  expect(LIFECYCLES.task.terminal).toEqual(["completed", "failed", "canceled", "rejected"]);
  expect(LIFECYCLES.agent.terminal).toEqual([]);
  expect(LIFECYCLES.lifecycle.terminal).toEqual(["deleted"]);
  for (const type of types) {
    const { phases, terminal } = LIFECYCLES[type];
    for (const from of phases) {
      expect(mayMove(type, from, from, "change")).toBe(true);
      const leaves = phases.some((to) => to !== from && mayMove(type, from, to, "repair"));
      expect(leaves).toBe(!terminal.includes(from));
    }
  }
});

test("every phase can be reached from creation", () => {
  for (const type of types) {
    const { phases, first, transitions } = LIFECYCLES[type];
    const reached = new Set([first]);
    for (const from of reached) {
      const row = Object.entries(transitions[from]!);
      for (const [to] of row.filter(([, via]) => via === "change")) reached.add(to);
    }
    expect([...reached].toSorted()).toEqual(phases.toSorted());
  }
});

test("tasks begin submitted, agents registered, sandboxes requested or as they are first seen", () => {
  expect(LIFECYCLES.task.initial).toEqual(["submitted", "ready"]);
  expect(LIFECYCLES.agent.initial).toEqual(["registered"]);
  expect(LIFECYCLES.lifecycle.first).toBe("requested");
  expect(mayCreateAs("task", "submitted")).toBe(true);
  expect(mayCreateAs("task", "working")).toBe(false);
  expect(mayCreateAs("lifecycle", "running")).toBe(true);
  expect(mayCreateAs("lifecycle", "deleted")).toBe(true);
  expect(mayCreateAs("lifecycle", "pausing")).toBe(false);
});

test("a type without a lifecycle has no phase, and one with a lifecycle always has one", () => {
  expect(lifecycleOf("note")).toBeNull();
  expect(lifecycleOf("constructor")).toBeNull();
  expect(mayCreateAs("note", null)).toBe(true);
  expect(mayCreateAs("note", "working")).toBe(false);
  expect(mayMove("note", null, null, "change")).toBe(true);
  expect(mayMove("note", null, "working", "repair")).toBe(false);
  expect(mayCreateAs("task", null)).toBe(false);
  expect(mayMove("task", "working", null, "change")).toBe(false);
  expect(mayMove("task", "nowhere", "nowhere", "change")).toBe(false);
  expect(mayMove("task", "working", "toString", "repair")).toBe(false);
});

test("the rows for the database are the legal moves, each once", () => {
  const rows = lifecycleRows();
  expect(new Set(rows.map(({ type, from, to }) => `${type} ${from} ${to}`)).size).toBe(rows.length);
  for (const { type, from, to, via } of rows) {
    if (from === null) expect(via === "change").toBe(mayCreateAs(type, to));
    else expect([from === to, mayMove(type, from, to, via)]).toEqual([false, true]);
  }
  const firsts = rows.filter(({ isFirst }) => isFirst).map(({ type, to }) => [type, to]);
  expect(firsts).toEqual(types.map((type) => [type, LIFECYCLES[type].first]));
  let legal = 0;
  for (const type of types) {
    const { phases } = LIFECYCLES[type];
    legal += phases.length;
    for (const from of phases) {
      legal += phases.filter((to) => from !== to && mayMove(type, from, to, "repair")).length;
    }
  }
  expect(rows).toHaveLength(legal);
});

test("what may be written instead is said: the nearest phase, or all there are, or that there are none", () => {
  expect(phaseAdvice("task", "wroking")).toBe('did you mean "working"?');
  expect(phaseAdvice("agent", "purple")).toMatch(/^it may be registered, starting, idle/);
  expect(phaseAdvice("note", "working")).toContain("only task, agent, lifecycle have phases");
  expect(nextPhases("task", null)).toEqual(["submitted", "ready"]);
  expect(nextPhases("agent", "registered")).toContain("starting");
  expect(nextPhases("task", "completed")).toEqual([]);
});
