import { integer } from "./kinds.ts";
import { option, TEN_MINUTES_MS } from "./option.ts";

const MAX_BACKOFF_MS = 2 ** 31 - 1;
const A_YEAR_MS = 366 * 86_400_000;

/** How tasks are held, tried again and watched. The same for all services of one database. */
export const TASK_OPTIONS = {
  "tasks.leaseMs": option(integer(1_000, TEN_MINUTES_MS), {
    default: 15_000,
    unit: "milliseconds",
    sentence:
      "How long a worker that is not heard of keeps its tasks. Workers renew it at a third; a claim or report renews it too, at a half.",
  }),
  "tasks.sweepMs": option(integer(100, 60_000), {
    default: 1_000,
    unit: "milliseconds",
    sentence:
      "How often leases that ran out and tasks that are due are looked for; at most a third of `tasks.leaseMs`.",
  }),
  "tasks.maxDepth": option(integer(1, 10_000), {
    default: 100,
    unit: "levels",
    sentence: "How deep children may have children; one more is refused with `TASK_TOO_DEEP`.",
  }),
  "tasks.crashBudget": option(integer(0, 1_000), {
    default: 3,
    unit: "crashes",
    sentence:
      "How often in a row a task may lose its worker, come to nothing new and be given to another; once more and it is `confused`.",
  }),
  "tasks.maxAttempts": option(integer(1, 1_000_000), {
    default: 3,
    unit: "attempts",
    sentence: "How often a task that fails is tried, where its push does not say.",
  }),
  "tasks.backoffMs": option(integer(0, MAX_BACKOFF_MS), {
    default: 1_000,
    unit: "milliseconds",
    sentence:
      "How long before the second attempt, where its push does not say; twice that before the third, and so on.",
  }),
  "tasks.maxBackoffMs": option(integer(0, MAX_BACKOFF_MS), {
    default: 300_000,
    unit: "milliseconds",
    sentence: "The longest of these pauses, where its push does not say.",
  }),
  "tasks.ageingMs": option(integer(0, A_YEAR_MS), {
    default: 3_600_000,
    unit: "milliseconds",
    sentence:
      "How long the lowest task of a stack may wait before that is told, in the log, in the metrics and in `/v1/info`: newest first lets the oldest starve. 0: it is never told.",
  }),
  "tasks.keepDays": option(integer(0, 36_500), {
    default: 30,
    unit: "days",
    sentence:
      "How long after its end it is known of a task how it was scheduled, which children it had and what it did outside; its state is kept. 0: for ever.",
  }),
};
