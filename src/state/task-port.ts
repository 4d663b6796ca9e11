import type { EffectStanding, Epoch, Preempt, RetryPolicy, Task, TaskDetails } from "./task.ts";

/** A task to push, checked. JSON as text. */
export interface PreparedPush {
  readonly stack: string;
  readonly id: string;
  readonly kind: string;
  readonly input: string;
  readonly priority: number;
  readonly preempt: Preempt;
  readonly runAt: Date | null;
  readonly delayMs: number | null;
  readonly parent: string | null;
  /** Only if the parent's holder still has it. */
  readonly parentEpoch: Epoch | null;
  readonly deadline: Date | null;
  readonly retry: RetryPolicy;
  readonly supersedes: string | null;
  readonly idempotencyKey: string | null;
  /** The trace that its call belongs to, as W3C has it; null or unsaid: none that is recorded. */
  readonly traceparent?: string | null;
}

/** `code` null where it was pushed, REPLAYED where its key had pushed that task before. */
export interface PushAnswer extends Pick<
  Task,
  | "id"
  | "stack"
  | "kind"
  | "phase"
  | "seq"
  | "priority"
  | "depth"
  | "parent"
  | "runAt"
  | "createdAt"
> {
  readonly code: string | null;
  readonly detail: string | null;
}

/** A worker: a name, and which process of that name. */
export interface Holder {
  readonly worker: string;
  readonly incarnation: string;
  readonly leaseMs: number;
}

/** A worker whose process is gone. */
export interface EndedWorker {
  /** Its name, or its host's where it is called after host and process. */
  readonly worker: string;
  /** Whoever was heard of after that is another one. */
  readonly before: Date;
}

export interface ClaimOrder extends Holder {
  /** Empty: any. */
  readonly stacks: readonly string[];
  /** Empty: of any kind. */
  readonly kinds: readonly string[];
  readonly limit: number;
}

export const REPORTS = [
  "checkpoint",
  "suspend",
  "release",
  "wait",
  "complete",
  "fail",
  "reject",
] as const;

/** What a holder says about its task. */
export type ReportKind = (typeof REPORTS)[number];

export interface PreparedReport {
  readonly id: string;
  readonly epoch: Epoch;
  readonly report: ReportKind;
  /** JSON text; what it means depends on the report, see 79_report_tasks.sql. */
  readonly body: string | null;
  /** JSON text: where the task goes on. */
  readonly resumePoint: string | null;
}

export interface ReportAnswer {
  readonly code: string | null;
  readonly phase: string | null;
  /** The holder should stop: the task is to be canceled, or was given back as something newer came. */
  readonly wanted: "cancel" | "suspended" | null;
}

export interface Heartbeat {
  readonly leaseUntil: Date;
  /** Ids of tasks that are to be given up, that are to give way, that were taken away. */
  readonly cancel: readonly string[];
  readonly preempt: readonly string[];
  readonly fenced: readonly string[];
}

/** What a sweep did; null where another one was under way. */
export interface Sweep {
  readonly takenOver: number;
  readonly rung: number;
  readonly reconciled: number;
  /** Tasks that something newer cut in on at once, since the last sweep. */
  readonly interrupted: number;
  /** Of those that it ended: whose time was over, and who were being canceled. */
  readonly failed: number;
  readonly canceled: number;
  /** More is due already. */
  readonly more: boolean;
  readonly nextDue: Date | null;
}

/** What a look at old tasks came to. */
export interface Pruned {
  readonly forgotten: number;
  /** The last that was looked at; null: no older ones are left. */
  readonly last: bigint | null;
}

/** How the tasks of a stack do. */
export interface SurveyedStack {
  readonly stackNo: bigint;
  readonly namespace: string;
  readonly stack: string;
  /** Tasks that wait for a worker, counted up to 10,000. */
  readonly waiting: number;
  /** The lowest of them, and how long it has not moved; null where none waits. */
  readonly lowest: { readonly id: string; readonly waitedMs: number } | null;
}

export interface TaskEvent {
  /** Null: what a person was asked for. */
  readonly event: string | null;
  /** JSON text. */
  readonly data: string;
}

export interface EffectOrder {
  readonly id: string;
  readonly epoch: Epoch;
  readonly key: string;
  /** JSON text of the receipt; null: it is about to be done. */
  readonly receipt: string | null;
  /** Begin again what is in doubt. */
  readonly again: boolean;
}

export interface EffectAnswer {
  readonly code: string | null;
  readonly standing: EffectStanding | null;
  /** JSON text. */
  readonly receipt: string | null;
}

export interface Why {
  readonly reason: string | null;
  readonly actor: string | null;
}

/** Tasks in a database. Each call is one transaction; `code` is why something was refused. */
export interface TaskStore {
  push(
    namespace: string,
    pushes: readonly PreparedPush[],
    settings: {
      readonly actor: string | null;
      readonly maxDepth: number;
      readonly dataBytes: number;
    },
  ): Promise<PushAnswer[]>;
  claim(namespace: string, order: ClaimOrder): Promise<Task[]>;
  /** Reports, and then claims as many more as `claim` says. */
  report(
    namespace: string,
    reports: readonly PreparedReport[],
    claim: (ClaimOrder & { readonly actor?: string }) | null,
  ): Promise<{ readonly answers: ReportAnswer[]; readonly claimed: Task[] }>;
  heartbeat(namespace: string, holder: Holder): Promise<Heartbeat>;
  /** Takes from a worker that is gone what it held; how many tasks that were. */
  endLeases(namespace: string, ended: EndedWorker): Promise<number>;
  /** `crashBudget`: how often in a row a task may lose its worker; default 3. */
  sweep(limit: number, crashBudget?: number): Promise<Sweep | null>;
  cancel(
    namespace: string,
    id: string,
    why: Why,
  ): Promise<
    { readonly code: string | null; readonly id: string; readonly phase: string | null }[]
  >;
  answer(
    namespace: string,
    id: string,
    event: TaskEvent & { readonly actor: string | null },
  ): Promise<ReportAnswer>;
  retry(namespace: string, id: string, why: Why): Promise<ReportAnswer>;
  recordEffect(namespace: string, order: EffectOrder): Promise<EffectAnswer>;
  read(namespace: string, ids: readonly string[]): Promise<TaskDetails[]>;
  stack(namespace: string, stack: string, limit: number): Promise<Task[]>;
  /** Forgets how tasks were scheduled that ended before a moment: of those after a number, the oldest first. */
  prune(after: bigint, before: Date, limit: number): Promise<Pruned>;
  /** Stacks of all namespaces, those after a number, in its order. */
  survey(after: bigint, limit: number): Promise<SurveyedStack[]>;
}
