import type {
  ClaimOrder,
  PreparedPush,
  PreparedReport,
  PushAnswer,
  ReportAnswer,
  TaskStore,
} from "../state/task-port.ts";
import type { Task } from "../state/task.ts";
import { Gatherer } from "./gatherer.ts";

const BATCH = 256;
const LANES = 2;

interface PushCall {
  readonly namespace: string;
  readonly push: PreparedPush;
  readonly actor: string | null;
}

interface ClaimCall {
  readonly namespace: string;
  readonly order: ClaimOrder;
}

interface ReportCall {
  readonly namespace: string;
  readonly report: PreparedReport;
  readonly next: ClaimOrder | null;
}

/** The calls that come often: those that come at once share a transaction, each with its own fate. */
export class Calls {
  readonly #pushes: Gatherer<PushCall, PushAnswer>;
  readonly #claims: Gatherer<ClaimCall, Task[]>;
  readonly #reports: Gatherer<ReportCall, { answer: ReportAnswer; tasks: Task[] }>;

  constructor(
    store: TaskStore,
    settings: { readonly maxDepth: number; readonly dataBytes: number },
  ) {
    const sizes = { batchLimit: BATCH, lanes: LANES };
    this.#pushes = new Gatherer({
      ...sizes,
      groupOf: ({ namespace, actor }) => JSON.stringify([namespace, actor]),
      keysOf: ({ push: { id, idempotencyKey } }) => [
        `id ${id}`,
        ...(idempotencyKey === null ? [] : [`key ${idempotencyKey}`]),
      ],
      run: (calls) =>
        store.push(
          calls[0]!.namespace,
          calls.map(({ push }) => push),
          { ...settings, actor: calls[0]!.actor },
        ),
    });
    this.#claims = new Gatherer({
      ...sizes,
      groupOf: ({ namespace, order }) => groupOf(namespace, order),
      keysOf: () => [],
      run: async (calls) => {
        const { namespace } = calls[0]!;
        const orders = calls.map(({ order }) => order);
        return deal(await store.claim(namespace, together(orders)), orders);
      },
    });
    this.#reports = new Gatherer({
      ...sizes,
      groupOf: ({ namespace, next }) => groupOf(namespace, next),
      keysOf: ({ report }) => [report.id],
      run: async (calls) => {
        const { namespace } = calls[0]!;
        const reports = calls.map(({ report }) => report);
        const orders = calls.flatMap(({ next }) => (next === null ? [] : [next]));
        const order = orders.length === 0 ? null : together(orders);
        const { answers, claimed } = await store.report(namespace, reports, order);
        const tasks = deal(claimed, orders);
        return answers.map((answer, index) => ({ answer, tasks: tasks[index] ?? [] }));
      },
    });
  }

  push(call: PushCall): Promise<PushAnswer> {
    return this.#pushes.call(call);
  }

  claim(call: ClaimCall): Promise<Task[]> {
    return this.#claims.call(call);
  }

  report(call: ReportCall): Promise<{ answer: ReportAnswer; tasks: Task[] }> {
    return this.#reports.call(call);
  }
}

/** Claims that differ in nothing but how many may be made as one. */
function groupOf(namespace: string, order: ClaimOrder | null): string {
  return JSON.stringify([namespace, order === null ? null : { ...order, limit: 0 }]);
}

function together(orders: readonly ClaimOrder[]): ClaimOrder {
  return { ...orders[0]!, limit: orders.reduce((sum, { limit }) => sum + limit, 0) };
}

/** To each its share, in their order. */
function deal(tasks: readonly Task[], orders: readonly ClaimOrder[]): Task[][] {
  let next = 0;
  return orders.map(({ limit }) => tasks.slice(next, (next += limit)));
}
