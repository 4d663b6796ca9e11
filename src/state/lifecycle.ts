import {
  agentTable,
  agentPhases,
  sandboxPhases,
  sandboxTable,
  taskPhases,
  taskTable,
} from "./lifecycle-tables.ts";
import type { Cell } from "./lifecycle-tables.ts";
import { nearest } from "./nearest.ts";

/** Who may make a move: any change, or only a rollback or repair. */
export type Via = "change" | "repair";

/** The phases that states of one type go through, and the moves between them that are legal. */
export interface Lifecycle {
  readonly phases: readonly string[];
  /** The phases in which a state may be created. */
  readonly initial: readonly string[];
  /** The one in which it is created where the write does not say. */
  readonly first: string;
  /** The phases that nothing leaves. */
  readonly terminal: readonly string[];
  /** From each phase, where it may go and who may take it there. Staying is always legal. */
  readonly transitions: Readonly<Record<string, Readonly<Record<string, Via>>>>;
}

/** One legal move, as the database holds it. Null: the state did not exist. */
export interface LifecycleRow {
  readonly type: string;
  readonly from: string | null;
  readonly to: string;
  readonly via: Via;
  /** The phase that a new state enters where the write does not say. */
  readonly isFirst: boolean;
}

/** The lifecycle of each type that has one. */
export const LIFECYCLES: Readonly<Record<"task" | "agent" | "lifecycle", Lifecycle>> = {
  // One that is due at once is ready when it is pushed.
  task: lifecycleFrom(taskPhases, taskTable, ["submitted", "ready"]),
  agent: lifecycleFrom(agentPhases, agentTable, ["registered"]),
  // A captor may come late: a sandbox can be first seen when it has long been living.
  lifecycle: lifecycleFrom(sandboxPhases, sandboxTable, [
    "requested",
    "pending",
    "creating",
    "running",
    "paused",
    "stopping",
    "stopped",
    "failed",
    "unknown",
    "deleted",
  ]),
};

/** The lifecycle of a type, or null where it has none: then its states have no phase. */
export function lifecycleOf(type: string): Lifecycle | null {
  return Object.hasOwn(LIFECYCLES, type) ? LIFECYCLES[type as keyof typeof LIFECYCLES] : null;
}

/** The phases that a change may take a state of this type to; from null: in which it may be created. */
export function nextPhases(type: string, from: string | null): readonly string[] {
  const lifecycle = lifecycleOf(type);
  if (lifecycle === null || from === null) return lifecycle?.initial ?? [];
  const row = lifecycle.transitions[from] ?? {};
  return Object.keys(row).filter((to) => row[to] === "change");
}

/** The end of a sentence: what to write in place of a phase that states of this type do not have. */
export function phaseAdvice(type: string, phase: string): string {
  const lifecycle = lifecycleOf(type);
  if (lifecycle === null)
    return `leave it out: only ${Object.keys(LIFECYCLES).join(", ")} have phases.`;
  const near = nearest(phase, lifecycle.phases);
  return near === undefined
    ? `it may be ${lifecycle.phases.join(", ")}.`
    : `did you mean "${near}"?`;
}

/** Whether a state of this type may be created in this phase; null: without one. */
export function mayCreateAs(type: string, phase: string | null): boolean {
  const lifecycle = lifecycleOf(type);
  if (lifecycle === null || phase === null) return lifecycle === null && phase === null;
  return lifecycle.initial.includes(phase);
}

/** Whether a state of this type may move so. What a change may, a repair may too. */
export function mayMove(type: string, from: string | null, to: string | null, via: Via): boolean {
  const lifecycle = lifecycleOf(type);
  if (lifecycle === null || from === null || to === null) {
    return lifecycle === null && from === null && to === null;
  }
  if (!lifecycle.phases.includes(from)) return false;
  if (from === to) return true;
  const row = lifecycle.transitions[from]!;
  return Object.hasOwn(row, to) && (row[to] === "change" || via === "repair");
}

/**
 * Every legal move of every lifecycle, to install in a database: creation included, which a rollback or repair may do in
 * any phase, as it brings back what was deleted.
 */
export function lifecycleRows(): LifecycleRow[] {
  return Object.entries(LIFECYCLES).flatMap(([type, { phases, initial, first, transitions }]) => [
    ...phases.map((to) => {
      const via = initial.includes(to) ? "change" : "repair";
      return { type, from: null, to, via, isFirst: to === first } as const;
    }),
    ...Object.entries(transitions).flatMap(([from, row]) =>
      Object.entries(row).map(([to, via]) => ({ type, from, to, via, isFirst: false })),
    ),
  ]);
}

function lifecycleFrom<Phase extends string>(
  phases: readonly Phase[],
  table: Readonly<Record<Phase, readonly Cell[]>>,
  initial: readonly [Phase, ...Phase[]],
): Lifecycle {
  const transitions = Object.fromEntries(phases.map((from) => [from, moves(phases, table[from])]));
  const terminal = phases.filter((phase) => Object.keys(transitions[phase]!).length === 0);
  return { phases, initial, first: initial[0], terminal, transitions };
}

function moves(phases: readonly string[], cells: readonly Cell[]): Record<string, Via> {
  const row: Record<string, Via> = {};
  for (const [column, cell] of cells.entries()) {
    if (cell === "c") row[phases[column]!] = "change";
    if (cell === "r") row[phases[column]!] = "repair";
  }
  return row;
}
