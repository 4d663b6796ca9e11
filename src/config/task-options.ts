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
      "How long a worker that sends nothing keeps its tasks. Workers renew the lease after a third of this; claims and reports renew it too, after half.",
  }),
  "tasks.sweepMs": option(integer(100, 60_000), {
    default: 1_000,
    unit: "milliseconds",
    sentence:
      "How often to look for expired leases and due tasks; at most a third of `tasks.leaseMs`.",
  }),
  "tasks.maxDepth": option(integer(1, 10_000), {
    default: 100,
    unit: "levels",
    sentence:
      "How many levels of child tasks are allowed; a deeper one is refused with `TASK_TOO_DEEP`.",
  }),
  "tasks.crashBudget": option(integer(0, 1_000), {
    default: 3,
    unit: "crashes",
    sentence:
      "How often in a row a task may lose its worker without making progress and be given to another; one more loss, and it is `confused`.",
  }),
  "tasks.maxAttempts": option(integer(1, 1_000_000), {
    default: 3,
    unit: "attempts",
    sentence: "How often a failing task is tried, unless its push sets this.",
  }),
  "tasks.backoffMs": option(integer(0, MAX_BACKOFF_MS), {
    default: 1_000,
    unit: "milliseconds",
    sentence:
      "The pause before the second attempt, unless its push sets this; it doubles for each further attempt.",
  }),
  "tasks.maxBackoffMs": option(integer(0, MAX_BACKOFF_MS), {
    default: 300_000,
    unit: "milliseconds",
    sentence: "The longest of these pauses, unless its push sets this.",
  }),
  "tasks.ageingMs": option(integer(0, A_YEAR_MS), {
    default: 3_600_000,
    unit: "milliseconds",
    sentence:
      "How long the lowest task of a stack may wait before it is reported in the log, the metrics and `/v1/info`: newest first can starve the oldest. 0: never.",
  }),
  "tasks.keepDays": option(integer(0, 36_500), {
    default: 30,
    unit: "days",
    sentence:
      "How long the scheduling record of an ended task (its children and effects included) is kept; its state is kept regardless. 0: forever.",
  }),
};
