import { systemClock } from "../service/clock.ts";
import type { Logger } from "../service/log-port.ts";
import type { SurveyedStack, TaskStore } from "../state/task-port.ts";

/** Stacks looked at in one step. */
const PAGE = 250;
/** The pause after the last of them, or less where tasks age sooner. */
const REST_MS = 15_000;
/** Tasks whose alarm is remembered, so that each is logged once. */
const MAX_TOLD = 10_000;

/** How all stacks did when they were last looked at. */
export interface StackFigures {
  /** Tasks that wait for a worker. */
  readonly waiting: number;
  /** Of them, those in the stack that has most. */
  readonly deepest: number;
  /** How long the lowest task of some stack has not moved. */
  readonly oldestMs: number;
  /** Stacks whose lowest task waits longer than it may. */
  readonly aged: number;
}

const NONE: StackFigures = { waiting: 0, deepest: 0, oldestMs: 0, aged: 0 };

export interface StackSurveyOptions {
  readonly store: Pick<TaskStore, "survey">;
  /** How long the lowest task of a stack may wait; 0: for ever. */
  readonly ageingMs: number;
  readonly log: Logger;
}

/** Looks at all stacks, a page a step: how deep they are, and whose lowest task starves. */
export class StackSurvey {
  readonly #options: StackSurveyOptions;
  readonly #restMs: number;
  #figures = NONE;
  #round = NONE;
  #after = 0n;
  #restUntil = 0;
  #told = new Set<string>();
  #aged = new Set<string>();

  constructor(options: StackSurveyOptions) {
    this.#options = options;
    const { ageingMs } = options;
    this.#restMs = ageingMs === 0 ? REST_MS : Math.min(REST_MS, ageingMs / 4);
  }

  /** Those of the last round that looked at all stacks. */
  get figures(): StackFigures {
    return this.#figures;
  }

  /** Looks at the next page, unless it rests. */
  async step(): Promise<void> {
    if (systemClock.monotonicMs() < this.#restUntil) return;
    const stacks = await this.#options.store.survey(this.#after, PAGE);
    for (const stack of stacks) this.#add(stack);
    this.#after = stacks.at(-1)?.stackNo ?? 0n;
    if (stacks.length === PAGE) return;
    this.#figures = this.#round;
    this.#round = NONE;
    this.#after = 0n;
    // Who moved meanwhile is told again when it ages again.
    this.#told = this.#aged;
    this.#aged = new Set();
    this.#restUntil = systemClock.monotonicMs() + this.#restMs;
  }

  #add({ namespace, stack, waiting, lowest }: SurveyedStack): void {
    const { ageingMs, log } = this.#options;
    const waitedMs = lowest?.waitedMs ?? 0;
    const isAged = lowest !== null && ageingMs > 0 && waitedMs > ageingMs;
    const round = this.#round;
    this.#round = {
      waiting: round.waiting + waiting,
      deepest: Math.max(round.deepest, waiting),
      oldestMs: Math.max(round.oldestMs, waitedMs),
      aged: round.aged + (isAged ? 1 : 0),
    };
    if (!isAged) return;
    const task = `${namespace} ${lowest.id}`;
    if (this.#aged.size < MAX_TOLD) this.#aged.add(task);
    if (this.#told.has(task) || !this.#aged.has(task)) return;
    const waitedSeconds = Math.floor(waitedMs / 1_000);
    log.warn(
      { namespace, stack, task: lowest.id, waiting, waitedSeconds },
      "the lowest task of a stack waits too long: newer ones always go first",
    );
  }
}
