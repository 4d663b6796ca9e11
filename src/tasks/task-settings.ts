/** How tasks are held, tried again and watched: `tasks.*` of the configuration. */
export interface TaskSettings {
  /** How long a worker that is not heard of keeps its tasks. */
  readonly leaseMs: number;
  /** How often what is due is looked for. */
  readonly sweepMs: number;
  /** How deep children may have children. */
  readonly maxDepth: number;
  /** How often in a row a task may lose its worker. */
  readonly crashBudget: number;
  /** The retry policy of pushes that say none. */
  readonly maxAttempts: number;
  readonly backoffMs: number;
  readonly maxBackoffMs: number;
  /** How long the lowest task of a stack may wait before that is told; 0: for ever. */
  readonly ageingMs: number;
  /** How long it is known how a task that ended was scheduled, and what it did outside; 0: for ever. */
  readonly keepDays: number;
}

export const DEFAULT_TASK_SETTINGS: TaskSettings = {
  leaseMs: 15_000,
  sweepMs: 1_000,
  maxDepth: 100,
  crashBudget: 3,
  maxAttempts: 3,
  backoffMs: 1_000,
  maxBackoffMs: 300_000,
  ageingMs: 3_600_000,
  keepDays: 30,
};
