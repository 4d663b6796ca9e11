import { systemClock } from "../service/clock.ts";
import type { TaskStore } from "../state/task-port.ts";

const DAY_MS = 86_400_000;
/** Tasks looked at in one step. */
const PAGE = 1_000;
/** The pause after the last of the old ones. */
const REST_MS = 600_000;

export interface TaskPrunerOptions {
  readonly store: Pick<TaskStore, "prune">;
  /** How long it is known of a task that ended how it was scheduled; 0: for ever. */
  readonly keepDays: number;
}

/** Forgets what scheduling knows of tasks that ended long ago, a page a step, the oldest first. */
export class TaskPruner {
  readonly #options: TaskPrunerOptions;
  #after = 0n;
  #restUntil = 0;

  constructor(options: TaskPrunerOptions) {
    this.#options = options;
  }

  /** Looks at the next page, unless it rests; whether there was much to forget, so that the next may follow at once. */
  async step(): Promise<boolean> {
    const { store, keepDays } = this.#options;
    if (keepDays === 0 || systemClock.monotonicMs() < this.#restUntil) return false;
    const before = new Date(systemClock.now() - keepDays * DAY_MS);
    const { forgotten, last } = await store.prune(this.#after, before, PAGE);
    this.#after = last ?? 0n;
    if (last === null) this.#restUntil = systemClock.monotonicMs() + REST_MS;
    return last !== null && forgotten > PAGE / 2;
  }
}
