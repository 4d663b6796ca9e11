/** Why a run ended before its handler did. */
export type InterruptionReason =
  /** Something newer arrived: the task was given back at a checkpoint, and resumes after it. */
  | "preempted"
  /** It waits for a child, a time, an event or a person, and resumes after that. */
  | "waiting"
  /** Somebody canceled it. */
  | "canceled"
  /** The task is no longer this worker's: nothing that it still reports is accepted. */
  | "fenced"
  /** The processor is stopping: the task was given back, for another worker. */
  | "stopped"
  /** The handler ended the run itself, with `fail` or `reject`. */
  | "ended";

const SENTENCES: Readonly<Record<InterruptionReason, string>> = {
  preempted: "something newer arrived, and the task was given back; it resumes after that",
  waiting: "the task was given back until what it waits for is there",
  canceled: "the task was canceled",
  fenced: "the task is no longer this worker's",
  stopped: "the processor is stopping, and the task was given back",
  ended: "the task has ended",
};

/** Thrown into a handler whose run is over, and the reason of its signal: let it propagate. */
export class RunInterrupted extends Error {
  override readonly name = "RunInterrupted";
  readonly reason: InterruptionReason;

  constructor(reason: InterruptionReason, options: { readonly cause?: unknown } = {}) {
    super(SENTENCES[reason], options);
    this.reason = reason;
  }
}

/** Thrown by `run.child` if the child did not complete. */
export class ChildFailed extends Error {
  override readonly name = "ChildFailed";
  readonly id: string;
  readonly phase: string;
  readonly error: unknown;

  constructor(child: { readonly id: string; readonly phase: string; readonly error?: unknown }) {
    super(`the child ${child.id} is ${child.phase}`);
    this.id = child.id;
    this.phase = child.phase;
    this.error = child.error ?? null;
  }
}
