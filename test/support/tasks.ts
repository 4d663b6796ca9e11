import type {
  ClaimOrder,
  PreparedPush,
  PreparedReport,
  PushAnswer,
  ReportAnswer,
  ReportKind,
  TaskStore,
} from "../../src/state/task-port.ts";
import type { Task, TaskDetails } from "../../src/state/task.ts";

/** A minute: longer than any test runs. */
export const LONG_MS = 60_000;

/** A push of which only what matters is said. */
export function pushOf(id: string, fields: Partial<PreparedPush> = {}): PreparedPush {
  return {
    id,
    stack: "s",
    kind: "work",
    input: JSON.stringify({ of: id }),
    priority: 0,
    preempt: "step",
    runAt: null,
    delayMs: null,
    parent: null,
    parentEpoch: null,
    deadline: null,
    retry: { maxAttempts: 3, backoffMs: 0, maxBackoffMs: 0 },
    supersedes: null,
    idempotencyKey: null,
    ...fields,
  };
}

/** The tasks of one namespace, in few words. */
export class Tasks {
  readonly #store: TaskStore;
  readonly #namespace: string;

  constructor(store: TaskStore, namespace: string) {
    this.#store = store;
    this.#namespace = namespace;
  }

  push(...pushes: readonly PreparedPush[]): Promise<PushAnswer[]> {
    const settings = { actor: null, maxDepth: 8, dataBytes: 1_048_576 };
    return this.#store.push(this.#namespace, pushes, settings);
  }

  claim(worker: string, order: Partial<ClaimOrder> = {}): Promise<Task[]> {
    return this.#store.claim(this.#namespace, this.order(worker, order));
  }

  /** The one task that is there for a worker. */
  async claimOne(worker: string, order: Partial<ClaimOrder> = {}): Promise<Task> {
    const [task, ...others] = await this.claim(worker, order);
    if (task === undefined || others.length > 0) throw new Error("not one task to claim");
    return task;
  }

  order(worker: string, order: Partial<ClaimOrder> = {}): ClaimOrder {
    const all = { stacks: [], kinds: [], limit: 1, leaseMs: LONG_MS };
    return { ...all, worker, incarnation: "1", ...order };
  }

  async report(
    task: Pick<Task, "id" | "epoch">,
    report: ReportKind,
    { body, resume }: { readonly body?: unknown; readonly resume?: unknown } = {},
  ): Promise<ReportAnswer> {
    const { answers } = await this.#store.report(
      this.#namespace,
      [reportOf(task, report, { body, resume })],
      null,
    );
    return answers[0]!;
  }

  /** Reports, and claims the next. */
  async next(
    task: Pick<Task, "id" | "epoch">,
    report: ReportKind,
    {
      worker,
      body,
      ...order
    }: { readonly worker: string; readonly body?: unknown; readonly stacks?: readonly string[] },
  ): Promise<{ readonly answer: ReportAnswer; readonly claimed: Task[] }> {
    const { answers, claimed } = await this.together([{ task, report, body }], {
      worker,
      ...order,
    });
    return { answer: answers[0]!, claimed };
  }

  /** Reports several in one call, and claims the next; `limit` 0: claims nothing. */
  async together(
    reports: readonly {
      readonly task: Pick<Task, "id" | "epoch">;
      readonly report: ReportKind;
      readonly body?: unknown;
      readonly resume?: unknown;
    }[],
    { worker, limit = 1, ...order }: { readonly worker: string } & Partial<ClaimOrder>,
  ): Promise<{ readonly answers: readonly ReportAnswer[]; readonly claimed: Task[] }> {
    return await this.#store.report(
      this.#namespace,
      reports.map(({ task, report, ...content }) => reportOf(task, report, content)),
      limit === 0 ? null : this.order(worker, { ...order, limit }),
    );
  }

  async read(id: string): Promise<TaskDetails> {
    const [task] = await this.#store.read(this.#namespace, [id]);
    if (task === undefined) throw new Error(`no task ${id}`);
    return task;
  }

  /** Ids and phases of a stack, in the order in which they run. */
  async stack(stack = "s"): Promise<string[]> {
    const tasks = await this.#store.stack(this.#namespace, stack, 1_000);
    return tasks.map(({ id, phase }) => `${id} ${phase}`);
  }
}

function reportOf(
  { id, epoch }: Pick<Task, "id" | "epoch">,
  report: ReportKind,
  { body, resume }: { readonly body?: unknown; readonly resume?: unknown },
): PreparedReport {
  const json = (value: unknown): string | null =>
    value === undefined ? null : JSON.stringify(value);
  return { id, epoch, report, body: json(body), resumePoint: json(resume) };
}
