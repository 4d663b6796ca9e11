/** Why a run ended before its handler did. */
export type InterruptionReason =
  /** Something newer came: the task was given back at a checkpoint, and goes on after it. */
  | "preempted"
  /** It waits for a child, a time, an event, a person: it goes on when that is there. */
  | "waiting"
  /** Somebody canceled it. */
  | "canceled"
  /** It is not this worker's any more: nothing that it still does is taken. */
  | "fenced"
  /** The processor stops: the task was given back, and another worker goes on with it. */
  | "stopped"
  /** The handler itself said how it ended. */
  | "ended";

const SENTENCES: Readonly<Record<InterruptionReason, string>> = {
  preempted: "something newer came, and the task was given back; it goes on after it",
  waiting: "the task waits, and was given back; it goes on when what it waits for is there",
  canceled: "the task was canceled",
  fenced: "the task is not this worker's any more",
  stopped: "the processor stops, and the task was given back",
  ended: "the task has ended",
};

/** Thrown into a handler whose run is over, and the reason of its signal: let it pass. */
export class RunInterrupted extends Error {
  override readonly name = "RunInterrupted";
  readonly reason: InterruptionReason;

  constructor(reason: InterruptionReason, options: { readonly cause?: unknown } = {}) {
    super(SENTENCES[reason], options);
    this.reason = reason;
  }
}

/** Thrown by `run.child` where the child did not complete. */
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
