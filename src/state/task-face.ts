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
  /** Unsaid: one is made; from the idempotency key where there is one. */
  readonly id?: string;
  /** What sort of work it is: workers claim by it. Default `default`. */
  readonly kind?: string;
  readonly input?: Json;
  /** Higher goes first; default 0. */
  readonly priority?: number;
  /** When it arrives; unsaid, now. */
  readonly runAt?: Date;
  readonly delayMs?: number;
  /** Whether it interrupts what it arrives above; default `step`. */
  readonly preempt?: Preempt;
  /** The task that is told its end. */
  readonly parent?: string;
  /** Only if the parent's holder still has this epoch. */
  readonly parentEpoch?: Epoch;
  /** It fails when this passes before it has ended. */
  readonly deadline?: Date;
  readonly retry?: Partial<RetryPolicy>;
  /** The task that ended and that this one takes the place of. */
  readonly supersedes?: string;
  readonly actor?: string;
  readonly idempotencyKey?: string;
}

/** Who works. Another process under the same name is another incarnation, and another holder. */
export interface WorkerName {
  readonly worker: string;
  readonly incarnation: string;
}

/** What a worker takes. */
export interface ClaimRequest extends TaskCall, WorkerName {
  /** Only from these stacks. */
  readonly stacks?: readonly string[];
  readonly kinds?: readonly string[];
  /** At most so many, one a stack; default 1. */
  readonly limit?: number;
  /** How long to wait for the first; default 0. */
  readonly waitMs?: number;
}

/** What every report of a holder says. */
export interface HolderReport extends TaskCall {
  readonly epoch: Epoch;
  /** Where the task goes on. */
  readonly resumePoint?: Json;
  /** What to claim in the same transaction. */
  readonly next?: Omit<ClaimRequest, keyof TaskCall | "waitMs">;
}

export interface CompleteReport extends HolderReport {
  readonly result?: Json;
}

export interface FailReport extends HolderReport {
  readonly error: Json;
  /** False: it is not tried again. */
  readonly retry?: boolean;
  /** Instead of the backoff of its retry policy. */
  readonly retryAfterMs?: number;
}

export interface WaitReport extends HolderReport {
  readonly wait: Wait;
}

/** What a heartbeat answers. */
export interface WorkerBeat extends Heartbeat {
  /** How long a lease lasts from each heartbeat on. */
  readonly leaseMs: number;
}

/** What became of a report. */
export interface Reported {
  readonly id: string;
  readonly phase: string;
  /** `cancel`: give it up. `suspended`: something newer came, and a checkpoint gave it back. */
  readonly wanted: "cancel" | "suspended" | null;
  /** True where the same report had been taken before. */
  readonly replayed: boolean;
  /** What was claimed with it. */
  readonly tasks: readonly Task[];
}

export interface EffectReport extends TaskCall {
  readonly epoch: Epoch;
  readonly key: string;
  /** It was done, with this receipt; unsaid: it is about to be done. */
  readonly receipt?: Json;
  /** Begin again what is in doubt. */
  readonly again?: boolean;
}

export interface EffectState {
  /** `begun`: do it. `done`: it was done, with this receipt. `in_doubt`: somebody began it and never told how it ended. */
  readonly standing: EffectStanding;
  readonly receipt: Json;
}

export interface TaskOrder extends TaskCall {
  readonly reason?: string;
  readonly actor?: string;
}

/** What a task waits for: an event by its name, or, without, the input that it asked for. */
export interface TaskAnswer extends TaskCall {
  readonly event?: string;
  readonly data: Json;
  readonly actor?: string;
}

/**
 * Tasks in stacks: newest first, then back to the one below. Reports of holders throw EPOCH_FENCED where
 * the task is no longer theirs; then it must not be touched any more.
 */
export interface TaskFace {
  /** Throws ALREADY_EXISTS, TASK_NOT_FOUND and TASK_ENDED (of the parent), TASK_TOO_DEEP, TASK_TOO_WIDE, SCOPE_ON_HOLD. */
  push(stack: string, request: PushRequest): Promise<Task>;
  /** The next tasks, one a stack; empty where there are none. */
  claim(request: ClaimRequest): Promise<Task[]>;
  /** Goes on with a worker's lease, for all that it holds. */
  heartbeat(
    worker: string,
    request: TaskCall & { readonly incarnation: string },
  ): Promise<WorkerBeat>;
  checkpoint(id: string, report: HolderReport): Promise<Reported>;
  complete(id: string, report: CompleteReport): Promise<Reported>;
  /** Tried again with backoff while its policy allows; else it has failed. */
  fail(id: string, report: FailReport): Promise<Reported>;
  /** It will not be done. */
  reject(id: string, report: FailReport): Promise<Reported>;
  /** Set aside: it goes on when nothing above it is ready. */
  suspend(id: string, report: HolderReport): Promise<Reported>;
  /** Given back; another worker may go on with it. */
  release(id: string, report: HolderReport): Promise<Reported>;
  wait(id: string, report: WaitReport): Promise<Reported>;
  effect(id: string, report: EffectReport): Promise<EffectState>;
  /** The task and all that it pushed; their ids and phases. */
  cancel(
    id: string,
    order?: TaskOrder,
  ): Promise<readonly { readonly id: string; readonly phase: string }[]>;
  answer(id: string, answer: TaskAnswer): Promise<Reported>;
  /** A confused task runs again, or one that backs off at once. */
  retry(id: string, order?: TaskOrder): Promise<Reported>;
  get(id: string, options?: TaskCall): Promise<TaskDetails>;
  /** The living tasks of a stack in the order in which they run, the working one first. */
  stack(stack: string, options?: TaskCall & { readonly limit?: number }): Promise<readonly Task[]>;
}
