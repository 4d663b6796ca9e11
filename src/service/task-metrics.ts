import type { Histogram } from "./histogram.ts";
import type { Metrics } from "./metrics.ts";
import type { Sample } from "./pulled-metric.ts";

/** What a process did with tasks. */
export interface TaskCounts {
  readonly firstRun: Histogram;
  readonly ended: ReadonlyMap<string, ReadonlyMap<string, number>>;
  readonly pushed: number;
  readonly claims: number;
  readonly preemptions: number;
  readonly interruptions: number;
  readonly takeovers: number;
  readonly fencedWrites: number;
  readonly dead: number;
}

/** How all stacks do. */
export interface StackFigures {
  readonly waiting: number;
  readonly deepest: number;
  readonly oldestMs: number;
  readonly aged: number;
}

const FIRST_RUN = "agent_runtime_tasks_first_run_seconds";

/** Adds what became of tasks here, and how deep and how old the stacks are. */
export function exposeTasks(
  metrics: Pick<Metrics, "expose">,
  counts: TaskCounts,
  stacks: () => StackFigures,
): void {
  const add = (name: string, type: "counter" | "gauge", [help, read]: Read): void =>
    metrics.expose({ name: `agent_runtime_tasks_${name}`, type, help }, () => one(read()));
  add("pushed_total", "counter", ["Tasks pushed here.", () => counts.pushed]);
  add("claims_total", "counter", ["Tasks that workers took here.", () => counts.claims]);
  metrics.expose(
    {
      name: "agent_runtime_tasks_preemptions_total",
      type: "counter",
      help: "Tasks that gave way because something newer came: at their next step, or at once.",
    },
    () => [
      { labels: { how: "step" }, value: counts.preemptions },
      { labels: { how: "now" }, value: counts.interruptions },
    ],
  );
  add("takeovers_total", "counter", [
    "Tasks taken from workers that were lost.",
    () => counts.takeovers,
  ]);
  add("fenced_writes_total", "counter", [
    "What workers said and pushed that was refused: the task was no longer theirs.",
    () => counts.fencedWrites,
  ]);
  add("dead_total", "counter", ["Tasks that failed for good.", () => counts.dead]);
  metrics.expose(
    {
      name: "agent_runtime_tasks_ended_total",
      type: "counter",
      help: "Tasks that ended here, by kind and phase.",
    },
    () =>
      [...counts.ended].flatMap(([kind, phases]) =>
        [...phases].map(([phase, value]) => ({ labels: { kind, phase }, value })),
      ),
  );
  metrics.expose(
    { name: FIRST_RUN, type: "histogram", help: "From the push of a task to its first claim." },
    () => counts.firstRun.samples(FIRST_RUN, {}),
  );
  add("waiting", "gauge", ["Tasks that wait for a worker.", () => stacks().waiting]);
  add("deepest_stack", "gauge", [
    "Tasks that wait in the deepest stack, counted up to 10,000.",
    () => stacks().deepest,
  ]);
  add("oldest_seconds", "gauge", [
    "How long the lowest task of some stack has not moved.",
    () => stacks().oldestMs / 1_000,
  ]);
  add("aged", "gauge", [
    "Stacks whose lowest task waits longer than tasks.ageingMs.",
    () => stacks().aged,
  ]);
}

type Read = readonly [help: string, read: () => number];

function one(value: number): Sample[] {
  return [{ labels: {}, value }];
}
