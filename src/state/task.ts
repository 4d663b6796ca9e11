import type { Json } from "./json.ts";

/** When a task that arrives above a working one interrupts it: at its next checkpoint, at once, or not at all. */
export const PREEMPTS = ["step", "now", "never"] as const;
/** Whether and when a new task interrupts a working one. */
export type Preempt = (typeof PREEMPTS)[number];

/** Counts the claims of one task; every report of a holder must present the one it was given. */
export type Epoch = bigint;

/** How often a task that fails is tried, and how long after. */
export interface RetryPolicy {
  /** Claims in all, the first one included. */
  readonly maxAttempts: number;
  /** Milliseconds before the second attempt, doubling for each further one; each randomly shortened by up to half. */
  readonly backoffMs: number;
  readonly maxBackoffMs: number;
}

/** One piece of work in an agent's stack: newest first, `(priority desc, seq desc)`. */
export interface Task {
  readonly namespace: string;
  readonly id: string;
  /** The scope that it is in: normally an agent. */
  readonly stack: string;
  readonly kind: string;
  readonly phase: string;
  /** Its order of arrival; null until it is due. */
  readonly seq: bigint | null;
  readonly priority: number;
  /** 0; of a child, one more than of its parent. */
  readonly depth: number;
  readonly parent: string | null;
  readonly preempt: Preempt;
  readonly epoch: Epoch;
  readonly attempt: number;
  readonly input: Json;
  /** Where it resumes, as its last checkpoint said. */
  readonly resumePoint?: Json;
  /** What it received so far: ends of its children, events, answers. */
  readonly results: readonly TaskResult[];
  readonly result?: Json;
  readonly error?: Json;
  /** What it waits for. */
  readonly wait?: Json;
  /** Who works on it. */
  readonly lease: TaskLease | null;
  /** When it becomes due, while that is to come. */
  readonly runAt: Date | null;
  readonly deadline: Date | null;
  /** The ended task that this one replaces. */
  readonly supersedes?: string;
  readonly createdAt: Date;
}

/** Who works on a task. */
export interface TaskLease {
  readonly worker: string;
  /** When the lease ends, unless the worker extends it. */
  readonly until: Date;
  /** When it was claimed; only from `get` and `stack`, as far as history goes back. */
  readonly since?: Date;
}

/** The end of a child, an event, or a person's answer. */
export type TaskResult =
  | {
      readonly from: "task";
      readonly id: string;
      readonly phase: string;
      readonly result?: Json;
      readonly error?: Json;
      /** More than 64 KiB: read it from the child. */
      readonly isLarge?: true;
    }
  | { readonly from: "event"; readonly name: string; readonly data: Json }
  | { readonly from: "input"; readonly data: Json };

/** Something that a task did outside. In doubt: its holder lost the task before recording how it ended. */
export interface Effect {
  readonly key: string;
  readonly epoch: Epoch;
  readonly standing: EffectStanding;
  readonly receipt: Json;
  readonly begunAt: Date;
  readonly doneAt: Date | null;
}

export type EffectStanding = "begun" | "done" | "in_doubt";

/** A task with what belongs to it. */
export interface TaskDetails extends Task {
  readonly children: readonly { readonly id: string; readonly phase: string }[];
  readonly effects: readonly Effect[];
}

/** What a task that is given back waits for. */
export type Wait =
  /** The end of children: of those named, or of all. */
  | { readonly for: "child"; readonly children?: readonly string[]; readonly timeoutMs?: number }
  | { readonly for: "timer"; readonly until: Date }
  | { readonly for: "timer"; readonly ms: number }
  | { readonly for: "event"; readonly name: string; readonly timeoutMs?: number }
  /** A person: what they give comes with `answer`. */
  | { readonly for: "input" | "auth"; readonly prompt?: Json; readonly timeoutMs?: number };
