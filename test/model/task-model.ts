import type { Preempt } from "../../src/state/task.ts";

export const STACKS = ["s", "t"] as const;
export const ENDS = ["completed", "failed", "canceled", "rejected"];

/** How often a task may crash its holder in a row without anything new. */
const CRASHES = 3;
const MARKS = 8;

export interface ModelTask {
  readonly id: string;
  readonly stack: string;
  readonly priority: number;
  readonly preempt: Preempt;
  readonly parent: string | null;
  readonly maxAttempts: number;
  /** When it arrived; null until it is due. */
  seq: number | null;
  phase: string;
  epoch: bigint;
  attempt: number;
  /** Its next claim goes on with its attempt. */
  isResumed: boolean;
  /** How often in a row it lost its holder in one of the places where it had lost one before. */
  crashes: number;
  /** What it had come to then, the last first. */
  marks: string[];
  /** Where it goes on. */
  point: string;
  holder: string | null;
  /** Not due before somebody says so: delayed, backing off, or waiting for a timer. */
  isPending: boolean;
  wait: { readonly for: string; readonly name?: string } | null;
  readonly events: Set<string>;
  readonly results: string[];
}

export interface ModelPush {
  readonly id: string;
  readonly stack: string;
  readonly priority: number;
  readonly preempt: Preempt;
  readonly parent: string | null;
  readonly delayed: boolean;
}

/** What tasks do, in the plainest way: one act after the other, in memory, without a clock. */
export class TaskModel {
  readonly tasks = new Map<string, ModelTask>();
  #seq = 0;

  push({ delayed, ...fields }: ModelPush): void {
    this.tasks.set(fields.id, {
      ...fields,
      maxAttempts: 2,
      seq: delayed ? null : ++this.#seq,
      phase: delayed ? "submitted" : "ready",
      epoch: 0n,
      attempt: 0,
      isResumed: false,
      crashes: 0,
      marks: [],
      point: "",
      holder: null,
      isPending: delayed,
      wait: null,
      events: new Set(),
      results: [],
    });
    this.#settle();
  }

  /** The task that a claim from this stack gets. */
  claim(stack: string, worker: string): ModelTask | undefined {
    const [top] = this.#candidates(stack);
    if (top === undefined || this.held(stack) !== undefined) return undefined;
    top.phase = "working";
    top.holder = worker;
    top.epoch++;
    if (!top.isResumed) top.attempt++;
    top.isResumed = false;
    return top;
  }

  /** A holder's report; whatever it says, a task that is being canceled only ends. */
  report(task: ModelTask, report: string, { event }: { readonly event: string }): void {
    const isCanceling = task.phase === "canceling";
    if (report === "checkpoint") {
      task.point = event;
      if (!isCanceling && this.#interrupters(task).length > 0) this.#leave(task, "suspended", true);
    } else if (report === "complete") this.#end([task], "completed");
    else if (report === "reject") this.#end([task], isCanceling ? "failed" : "rejected");
    else if (report === "fail") this.#fail(task);
    else if (isCanceling) this.#end([task], "canceled");
    else if (report === "wait") this.#wait(task, event);
    else this.#leave(task, report === "suspend" ? "suspended" : "ready", true);
    this.#settle();
  }

  /** All that a worker holds is taken over. */
  crash(worker: string): void {
    for (const task of this.tasks.values()) {
      if (task.holder !== worker) continue;
      task.epoch++;
      if (task.phase === "canceling") this.#end([task], "canceled");
      else {
        const mark = `${task.point} ${task.results.length}`;
        if (!task.marks.includes(mark)) {
          task.crashes = 0;
          task.marks = [mark, ...task.marks].slice(0, MARKS);
        }
        this.#leave(task, task.crashes >= CRASHES ? "confused" : "ready", false);
        task.crashes++;
      }
    }
    this.#settle();
  }

  /** The time has come for one that is pending. */
  due(task: ModelTask): void {
    task.isPending = false;
    if (task.phase === "submitted") {
      task.phase = "ready";
      task.seq = ++this.#seq;
    } else if (task.phase === "waiting") this.#wake(task);
    this.#settle();
  }

  event(task: ModelTask, name: string): void {
    task.results.push(`event ${name}`);
    if (task.wait?.for === "event" && task.wait.name === name) this.#wake(task);
    else task.events.add(name);
    this.#settle();
  }

  input(task: ModelTask): void {
    task.results.push("input");
    this.#wake(task);
    this.#settle();
  }

  retry(task: ModelTask): void {
    if (task.phase === "confused") task.epoch++;
    task.phase = "ready";
    task.crashes = 0;
    task.isPending = false;
    this.#settle();
  }

  cancel(root: ModelTask): void {
    const tree = this.#tree(root);
    for (const task of tree) if (task.phase === "working") task.phase = "canceling";
    const idle = tree.filter(({ phase }) => ![...ENDS, "canceling"].includes(phase));
    this.#end(idle, "canceled");
    this.#settle();
  }

  held(stack: string): ModelTask | undefined {
    return [...this.tasks.values()].find((task) => task.stack === stack && task.holder !== null);
  }

  living(): ModelTask[] {
    return [...this.tasks.values()].filter(({ phase }) => !ENDS.includes(phase));
  }

  #fail(task: ModelTask): void {
    if (task.phase === "working" && task.attempt < task.maxAttempts) {
      this.#leave(task, "ready", false);
      task.isPending = true;
    } else this.#end([task], "failed");
  }

  #wait(task: ModelTask, event: string): void {
    const children = [...this.tasks.values()].filter(({ parent }) => parent === task.id);
    const isMet =
      event === "child" ? children.every(isEnded) : event !== "" && task.events.delete(event);
    if (event === "input") return this.#park(task, "input_required", { for: "input" });
    if (event === "timer") {
      this.#park(task, "waiting", { for: "timer" });
      task.isPending = true;
    } else if (isMet) this.#leave(task, "ready", true);
    else {
      const wait = event === "child" ? { for: "child" } : { for: "event", name: event };
      this.#park(task, "waiting", wait);
    }
  }

  #park(task: ModelTask, phase: string, wait: ModelTask["wait"]): void {
    this.#leave(task, phase, true);
    task.wait = wait;
  }

  #leave(task: ModelTask, phase: string, isResumed: boolean): void {
    task.phase = phase;
    task.holder = null;
    task.isResumed = isResumed;
  }

  #wake(task: ModelTask): void {
    task.phase = "ready";
    task.wait = null;
    task.isPending = false;
  }

  #end(tasks: readonly ModelTask[], phase: string): void {
    for (const task of tasks) {
      this.#leave(task, phase, true);
      task.isPending = false;
    }
    for (const task of tasks) {
      const parent = task.parent === null ? undefined : this.tasks.get(task.parent)!;
      if (parent === undefined || isEnded(parent)) continue;
      parent.results.push(`${task.id} ${phase}`);
    }
    for (const parent of this.tasks.values()) {
      if (parent.wait?.for !== "child" || parent.phase !== "waiting") continue;
      const children = [...this.tasks.values()].filter((one) => one.parent === parent.id);
      if (children.every(isEnded)) this.#wake(parent);
    }
  }

  #tree(root: ModelTask): ModelTask[] {
    const children = [...this.tasks.values()].filter(({ parent }) => parent === root.id);
    const tree = [root, ...children.flatMap((child) => this.#tree(child))];
    const ids = new Set(tree.map(({ id }) => id));
    return [...this.tasks.values()].filter(({ id }) => ids.has(id));
  }

  /** Who stands above it and may interrupt it. */
  #interrupters(task: ModelTask): ModelTask[] {
    return this.#candidates(task.stack).filter(
      (one) => one.preempt !== "never" && isAbove(one, task),
    );
  }

  #candidates(stack: string): ModelTask[] {
    return [...this.tasks.values()]
      .filter((task) => task.stack === stack && ["ready", "suspended"].includes(task.phase))
      .filter(({ isPending }) => !isPending)
      .toSorted((one, other) => (isAbove(one, other) ? -1 : 1));
  }

  #settle(): void {
    for (const stack of STACKS) {
      const held = this.held(stack);
      const [top] = this.#candidates(stack);
      if (held?.phase === "working" && top?.preempt === "now" && isAbove(top, held)) {
        held.epoch++;
        this.#leave(held, "suspended", true);
      }
      if (this.held(stack) === undefined && top !== undefined) top.phase = "ready";
    }
  }
}

function isEnded({ phase }: ModelTask): boolean {
  return ENDS.includes(phase);
}

/** The order rule: the higher priority first, then the newer one. */
export function isAbove(one: ModelTask, other: ModelTask): boolean {
  if (one.priority !== other.priority) return one.priority > other.priority;
  return (one.seq ?? 0) > (other.seq ?? 0);
}
