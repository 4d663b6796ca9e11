import type { Json } from "./json.ts";
import type { CallOptions } from "./request.ts";
import type { Heartbeat } from "./task-port.ts";
import type {
  EffectStanding,
  Epoch,
  Preempt,
  RetryPolicy,
  Task,
  TaskDetails,
  Wait,
} from "./task.ts";

interface TaskCall extends CallOptions {
  readonly namespace?: string;
}

/** A task to push. */
export interface PushRequest extends TaskCall {
  /** Default: a generated one, derived from the idempotency key if there is one. */
  readonly id?: string;
  /** The kind of work; workers may claim by it. Default `default`. */
  readonly kind?: string;
  readonly input?: Json;
  /** Higher runs first; default 0. */
  readonly priority?: number;
  /** When it arrives; default now. Exclusive with `delayMs`. */
  readonly runAt?: Date;
  readonly delayMs?: number;
  /** Whether it interrupts the working task below it; default `step`. */
  readonly preempt?: Preempt;
  /** The parent task, which receives its end. */
  readonly parent?: string;
  /** Only if the parent is still held with this epoch. */
  readonly parentEpoch?: Epoch;
  /** When it fails, unless it has ended by then. */
  readonly deadline?: Date;
  readonly retry?: Partial<RetryPolicy>;
  /** The ended task that this one replaces. */
  readonly supersedes?: string;
  readonly actor?: string;
  readonly idempotencyKey?: string;
}

/** A worker. Another process with the same name is another incarnation, and another holder. */
export interface WorkerName {
  readonly worker: string;
  readonly incarnation: string;
}

/** What a worker wants to claim. */
export interface ClaimRequest extends TaskCall, WorkerName {
  /** Only from these stacks. */
  readonly stacks?: readonly string[];
  readonly kinds?: readonly string[];
  /** The most tasks to claim, one per stack; default 1. */
  readonly limit?: number;
  /** Milliseconds to wait for the first; default 0. */
  readonly waitMs?: number;
}

/** What every report of a holder contains. */
export interface HolderReport extends TaskCall {
  readonly epoch: Epoch;
  /** Where the task resumes. */
  readonly resumePoint?: Json;
  /** What to claim in the same transaction. */
  readonly next?: Omit<ClaimRequest, keyof TaskCall | "waitMs">;
}

/** The task is done. */
export interface CompleteReport extends HolderReport {
  readonly result?: Json;
}

/** The task failed, or is rejected. */
export interface FailReport extends HolderReport {
  readonly error: Json;
  /** False: no retry. */
  readonly retry?: boolean;
  /** Milliseconds, instead of its retry policy's backoff. */
  readonly retryAfterMs?: number;
}

/** The task is given back until something arrives. */
export interface WaitReport extends HolderReport {
  readonly wait: Wait;
}

/** What a heartbeat answers. */
export interface WorkerBeat extends Heartbeat {
  /** Milliseconds that the lease lasts from each heartbeat. */
  readonly leaseMs: number;
}

/** What became of a report. */
export interface Reported {
  readonly id: string;
  readonly phase: string;
  /** `cancel`: give the task up. `suspended`: something newer arrived, and this checkpoint gave the task back. */
  readonly wanted: "cancel" | "suspended" | null;
  /** True if the same report was accepted before. */
  readonly replayed: boolean;
  /** What was claimed with it. */
  readonly tasks: readonly Task[];
}

/** Something is about to be done outside, or was done. */
export interface EffectReport extends TaskCall {
  readonly epoch: Epoch;
  readonly key: string;
  /** It was done, with this receipt; left out: it is about to be done. */
  readonly receipt?: Json;
  /** Begin again an effect that is in doubt. */
  readonly again?: boolean;
}

/** Where an effect stands. */
export interface EffectState {
  /** `begun`: do it. `done`: it was done, with this receipt. `in_doubt`: somebody began it and never recorded how it ended. */
  readonly standing: EffectStanding;
  readonly receipt: Json;
}

/** Why an operator cancels or retries a task, and who. */
export interface TaskOrder extends TaskCall {
  readonly reason?: string;
  readonly actor?: string;
}

/** What a task waits for: the event with this name or, without a name, the input that it asked for. */
export interface TaskAnswer extends TaskCall {
  readonly event?: string;
  readonly data: Json;
  readonly actor?: string;
}

/**
 * Tasks in stacks: newest first, then back to the one below. A holder's report throws EPOCH_FENCED if the
 * task is no longer its own; it must then stop working on it.
 */
export interface TaskFace {
  /**
   * Pushes a task onto a stack.
   *
   * @throws {AgentRuntimeError} ALREADY_EXISTS, TASK_NOT_FOUND or TASK_ENDED (the parent), TASK_TOO_DEEP,
   *   TASK_TOO_WIDE, SCOPE_ON_HOLD.
   */
  push(stack: string, request: PushRequest): Promise<Task>;
  /** The next tasks, one per stack; empty if there are none. */
  claim(request: ClaimRequest): Promise<Task[]>;
  /** Extends a worker's lease, for everything it holds. */
  heartbeat(
    worker: string,
    request: TaskCall & { readonly incarnation: string },
  ): Promise<WorkerBeat>;
  /** Stores where the task resumes; the answer says whether to continue. */
  checkpoint(id: string, report: HolderReport): Promise<Reported>;
  /** Ends the task, with its result. */
  complete(id: string, report: CompleteReport): Promise<Reported>;
  /** The task is retried after a backoff as long as its policy allows; then it has failed. */
  fail(id: string, report: FailReport): Promise<Reported>;
  /** Ends the task: it will not be done. */
  reject(id: string, report: FailReport): Promise<Reported>;
  /** Sets the task aside: it continues when nothing above it is ready. */
  suspend(id: string, report: HolderReport): Promise<Reported>;
  /** Gives the task back, for any worker. */
  release(id: string, report: HolderReport): Promise<Reported>;
  /** Gives the task back until what it waits for is there. */
  wait(id: string, report: WaitReport): Promise<Reported>;
  /** Records that something outside is about to be done, or was done. */
  effect(id: string, report: EffectReport): Promise<EffectState>;
  /** Cancels a task and all its descendants; returns their ids and phases. */
  cancel(
    id: string,
    order?: TaskOrder,
  ): Promise<readonly { readonly id: string; readonly phase: string }[]>;
  /** Sends a task the input or event that it waits for. */
  answer(id: string, answer: TaskAnswer): Promise<Reported>;
  /** Lets a confused task run again, or ends a task's backoff. */
  retry(id: string, order?: TaskOrder): Promise<Reported>;
  /** A task, with its children and effects. */
  get(id: string, options?: TaskCall): Promise<TaskDetails>;
  /** A stack's living tasks in the order they will run, the working one first. */
  stack(stack: string, options?: TaskCall & { readonly limit?: number }): Promise<readonly Task[]>;
}
