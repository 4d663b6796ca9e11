import { setTimeout as sleep } from "node:timers/promises";
import { backoffMs } from "../service/backoff.ts";
import { AgentRuntimeError } from "../state/errors.ts";
import type { Json } from "../state/json.ts";
import type { FailReport, Reported, TaskFace } from "../state/task-face.ts";
import type { Task, TaskDetails, Wait } from "../state/task.ts";
import { RunInterrupted } from "./interruption.ts";
import type { InterruptionReason } from "./interruption.ts";

/** The pauses before what got no answer is asked again. */
const RETRY = { firstMs: 50, maxMs: 5_000 };

/** How a handler said that its task ended. */
export interface Verdict {
  readonly report: "fail" | "reject";
  readonly body: Pick<FailReport, "error" | "retry" | "retryAfterMs">;
}

/** One task in the hands of one worker, from its claim until it is given back or taken away. */
export class Hold {
  readonly task: Task;
  readonly tasks: TaskFace;
  readonly incarnation: string;
  readonly where: { readonly namespace?: string };
  readonly #onFenced: () => void;
  readonly #over = new AbortController();
  readonly #preempted = new AbortController();
  #resumePoint: Json | undefined;
  #interruption: RunInterrupted | undefined;
  #isHeld = true;
  #isStopping = false;
  #verdict: Verdict | undefined;
  #originId: Promise<string> | undefined;
  #details: Promise<TaskDetails> | undefined;

  constructor(
    tasks: TaskFace,
    task: Task,
    { incarnation, namespace, onFenced = () => undefined }: Holding,
  ) {
    this.tasks = tasks;
    this.task = task;
    this.incarnation = incarnation;
    this.#onFenced = onFenced;
    this.where = namespace === undefined ? {} : { namespace };
    this.#resumePoint = task.resumePoint;
  }

  get signal(): AbortSignal {
    return this.#over.signal;
  }

  get preempted(): AbortSignal {
    return this.#preempted.signal;
  }

  get resumePoint(): Json | undefined {
    return this.#resumePoint;
  }

  /** Whether somebody must still say what became of the task. */
  get isHeld(): boolean {
    return this.#isHeld;
  }

  /** Why the run is over; undefined while it is not. */
  get interruption(): RunInterrupted | undefined {
    return this.#interruption;
  }

  get verdict(): Verdict | undefined {
    return this.#verdict;
  }

  /**
   * The id that keys of children and effects stand under. A task that goes on where a rollback undid the end of another
   * one goes on with that one's children and receipts.
   */
  originId(): Promise<string> {
    return (this.#originId ??= this.#findOrigin());
  }

  /** The task with its effects, as it was when it was asked for first. */
  details(): Promise<TaskDetails> {
    return (this.#details ??= this.do(() => this.tasks.get(this.task.id, this.where)));
  }

  async #findOrigin(): Promise<string> {
    let { id, supersedes }: Pick<Task, "id" | "supersedes"> = this.task;
    while (supersedes !== undefined && goesOnWith(id, supersedes)) {
      const former: string = supersedes;
      const known = await this.do(() => this.tasks.get(former, this.where)).catch(
        (error: unknown) => {
          if (error instanceof RunInterrupted) throw error;
          return undefined; // deleted: what it went on with nobody knows any more
        },
      );
      id = former;
      supersedes = known?.supersedes;
    }
    return id;
  }

  /** Throws where the run is over. */
  check(): void {
    if (this.#interruption !== undefined) throw this.#interruption;
  }

  /** What the call answers, asked again while there is no answer; where the task was taken away the run is over. */
  async do<T>(call: () => Promise<T>): Promise<T> {
    this.check();
    for (let failures = 1; ; failures++) {
      try {
        const answer = await call();
        this.check();
        return answer;
      } catch (error) {
        this.check();
        if (isFenced(error)) throw await this.#refused(error);
        if (!mayPass(error)) throw error;
      }
      await this.#rest(backoffMs(failures, RETRY, Math.random()));
      this.check();
    }
  }

  async checkpoint(resumePoint?: Json): Promise<void> {
    const { id, epoch } = this.task;
    const point = resumePoint === undefined ? {} : { resumePoint };
    const report = { ...this.where, ...point, epoch };
    const isStopping = this.#isStopping;
    const { wanted, phase } = await this.do(() =>
      isStopping ? this.tasks.release(id, report) : this.tasks.checkpoint(id, report),
    );
    if (resumePoint !== undefined) this.#resumePoint = resumePoint;
    if (phase === "canceled") throw this.interrupt("canceled", { isHeld: false });
    if (wanted === "cancel") throw this.interrupt("canceled");
    if (isStopping) throw this.interrupt("stopped");
    if (wanted === "suspended") throw this.interrupt("preempted");
  }

  /** Gives the task back until that is there: ends the run in any case. */
  async wait(wait: Wait): Promise<never> {
    const { id, epoch } = this.task;
    const { phase } = await this.do(() => this.tasks.wait(id, { ...this.where, epoch, wait }));
    if (phase === "canceled") throw this.interrupt("canceled", { isHeld: false });
    throw this.interrupt("waiting");
  }

  /** Ends the run as the handler says. */
  end(report: Verdict["report"], body: Verdict["body"]): never {
    this.check();
    this.#verdict = { report, body };
    throw this.interrupt("ended");
  }

  /** The next checkpoint is awaited; `isStopping`: it gives the task back in any case. */
  askForCheckpoint({ isStopping = false } = {}): void {
    this.#isStopping ||= isStopping;
    this.#preempted.abort(new RunInterrupted(isStopping ? "stopped" : "preempted"));
  }

  /** The run is over, and its signal says why; the first reason stays. */
  interrupt(
    reason: InterruptionReason,
    { cause, isHeld = reason === "canceled" || reason === "ended" }: Interrupting = {},
  ): RunInterrupted {
    if (this.#interruption === undefined) {
      this.#interruption = new RunInterrupted(reason, cause === undefined ? {} : { cause });
      this.#over.abort(this.#interruption);
    }
    this.#isHeld &&= isHeld;
    return this.#interruption;
  }

  /** How the task ended, told until it is taken; undefined where it was taken away. */
  async tell(
    report: () => Promise<Reported>,
    { signal, onLost }: { readonly signal: AbortSignal; readonly onLost: () => void },
  ): Promise<Reported | undefined> {
    for (let failures = 1; this.#isHeld; failures++) {
      try {
        const told = await report();
        this.#isHeld = false;
        return told;
      } catch (error) {
        if (isFenced(error)) {
          this.#fenced(error);
          return undefined;
        }
        if (!mayPass(error)) throw error;
        // What was claimed with it may be held now, and nobody here knows of it.
        if (error instanceof AgentRuntimeError && error.facts.mayHaveHappened !== false) onLost();
      }
      const ms = backoffMs(failures, RETRY, Math.random());
      await sleep(ms, undefined, { signal }).catch(() => undefined);
      if (signal.aborted) return undefined;
    }
    return undefined;
  }

  /** A task that is being canceled is still held, and has no children any more. */
  async #refused(cause: unknown): Promise<RunInterrupted> {
    if ((cause as AgentRuntimeError).code === "TASK_ENDED") {
      const { id, epoch } = this.task;
      const now = await this.tasks.get(id, this.where).catch(() => undefined);
      if (now?.phase === "canceling" && now.epoch === epoch) return this.interrupt("canceled");
    }
    return this.#fenced(cause);
  }

  #fenced(cause: unknown): RunInterrupted {
    const interruption = this.interrupt("fenced", { cause });
    this.#onFenced();
    return interruption;
  }

  async #rest(ms: number): Promise<void> {
    await sleep(ms, undefined, { signal: this.signal }).catch(() => undefined);
  }
}

interface Holding {
  readonly incarnation: string;
  readonly namespace?: string;
  /** Told that a call about it was refused, as one of who holds it no more. */
  readonly onFenced?: () => void;
}

interface Interrupting {
  readonly cause?: unknown;
  /** Whether the task is still this worker's. */
  readonly isHeld?: boolean;
}

/**
 * Whether a rollback made one task to go on with the other, which it calls ID~STEP: whoever pushes one by hand that
 * supersedes another begins anew.
 */
function goesOnWith(id: string, former: string): boolean {
  const [end] = /~[0-9]+$/.exec(id) ?? [];
  return (
    end !== undefined &&
    id ===
      Array.from(former)
        .slice(0, 200 - end.length)
        .join("") +
        end
  );
}

function isFenced(error: unknown): boolean {
  return error instanceof AgentRuntimeError && ["EPOCH_FENCED", "TASK_ENDED"].includes(error.code);
}

/** A database that is away comes back, and a scope on hold is released, or goes back, which fences. */
function mayPass(error: unknown): boolean {
  return error instanceof AgentRuntimeError && (error.retryable || error.code === "SCOPE_ON_HOLD");
}
