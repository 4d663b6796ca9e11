import { systemClock } from "../service/clock.ts";
import { Histogram } from "../service/histogram.ts";
import type { PreparedReport, ReportAnswer, Sweep } from "../state/task-port.ts";
import type { Task } from "../state/task.ts";

const FIRST_RUN_BOUNDS_SECONDS = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1_800, 3_600,
];
/** Each kind makes series of its own; those that come after so many are told together. */
const MAX_KINDS = 50;
const OTHER_KINDS = "other";
/** Of what another process handed out. */
const UNKNOWN_KIND = "unknown";
/** Of so many running tasks the kind is known; of one that another process handed out it is not. */
const MAX_RUNNING = 100_000;

/** What this process did with tasks, counted as it happens. */
export class TaskFigures {
  readonly firstRun = new Histogram(FIRST_RUN_BOUNDS_SECONDS);
  readonly #kinds = new Set<string>();
  readonly #running = new Map<string, string>();
  readonly #ended = new Map<string, Map<string, number>>();
  pushed = 0;
  claims = 0;
  /** At a checkpoint. */
  preemptions = 0;
  /** At once. */
  interruptions = 0;
  takeovers = 0;
  fencedWrites = 0;
  dead = 0;

  /** How many tasks ended, by their kind and phase. */
  get ended(): ReadonlyMap<string, ReadonlyMap<string, number>> {
    return this.#ended;
  }

  claimed(tasks: readonly Task[]): void {
    this.claims += tasks.length;
    for (const { namespace, id, kind, epoch, createdAt } of tasks) {
      this.#running.delete(keyOf(namespace, id));
      this.#running.set(keyOf(namespace, id), this.#labelOf(kind));
      // By two clocks: one that is off counts as no time at all.
      const waitedMs = Math.max(0, systemClock.now() - createdAt.getTime());
      if (epoch === 1n) this.firstRun.observe(waitedMs / 1_000);
    }
    for (const key of this.#running.keys()) {
      if (this.#running.size <= MAX_RUNNING) break;
      this.#running.delete(key);
    }
  }

  reported(namespace: string, { id, report }: PreparedReport, answer: ReportAnswer): void {
    const { code, phase, wanted } = answer;
    if (code === "EPOCH_FENCED") this.fencedWrites++;
    if (code !== null || phase === null) return;
    if (report === "checkpoint" && wanted === "suspended") this.preemptions++;
    if (report === "fail" && phase === "failed") this.dead++;
    if (["completed", "failed", "rejected", "canceled"].includes(phase)) {
      this.end(namespace, id, phase);
    }
  }

  /** What a sweep did, and what it heard that other calls did. */
  swept({ takenOver, interrupted, failed, canceled }: Sweep): void {
    this.takeovers += takenOver;
    this.interruptions += interrupted;
    this.dead += failed;
    this.#add(UNKNOWN_KIND, "failed", failed);
    this.#add(UNKNOWN_KIND, "canceled", canceled);
  }

  /** A task that ended. */
  end(namespace: string, id: string, phase: string): void {
    const key = keyOf(namespace, id);
    this.#add(this.#running.get(key) ?? UNKNOWN_KIND, phase, 1);
    this.#running.delete(key);
  }

  #add(kind: string, phase: string, count: number): void {
    if (count === 0) return;
    const phases = this.#ended.get(kind) ?? new Map<string, number>();
    this.#ended.set(kind, phases.set(phase, (phases.get(phase) ?? 0) + count));
  }

  #labelOf(kind: string): string {
    if (this.#kinds.size < MAX_KINDS) this.#kinds.add(kind);
    return this.#kinds.has(kind) ? kind : OTHER_KINDS;
  }
}

function keyOf(namespace: string, id: string): string {
  return `${namespace} ${id}`;
}
