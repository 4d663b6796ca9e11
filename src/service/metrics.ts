import { Registry } from "prom-client";
import { Histogram } from "./histogram.ts";
import { processFigures, renderFigures } from "./process-figures.ts";
import type { FigureText } from "./process-figures.ts";
import { registerPulled } from "./pulled-metric.ts";
import type { MetricInfo, Sample } from "./pulled-metric.ts";

/** What a cache tells when it is asked. */
export interface CacheFigures {
  readonly hits: number;
  readonly misses: number;
  readonly size: number;
  readonly bytes: number;
}

/** What the replica's reads tell when they are asked. */
export interface ReplicaFigures {
  readonly served: Readonly<Record<string, number>>;
  readonly retries: number;
  readonly fallbacks: ReadonlyMap<string, number>;
  readonly health: string;
  readonly lagMs: number;
}

/** How the rollback database does. */
export interface RollbackFigures {
  readonly health: string;
  /** Null: it never held all that main has. */
  readonly lagMs: number | null;
  readonly changesBehind: number;
  readonly scopes: number;
  readonly held: number;
  readonly broken: number;
  readonly suspect: number;
}

/** What the confusion detector tells when it is asked. */
export interface FsckFigures {
  /** Open findings, by check. */
  readonly open: ReadonlyMap<string, number>;
  readonly checked: number;
  readonly position: number;
  readonly sweepSeconds: number;
}

const OPERATION = "agent_runtime_operation_seconds";
const OPERATION_BOUNDS_SECONDS = [
  0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
];
const BATCH = "agent_runtime_batch_size";
const BATCH_BOUNDS = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1000];

/**
 * The figures of this process, in Prometheus form.
 *
 * What happens is counted as it happens, in plain memory; what is (lengths, lags) is read from its
 * owner when somebody asks.
 */
export class Metrics {
  readonly #registry = new Registry();
  /** What a page is made of. */
  readonly #registries = [this.#registry];
  readonly #operations = new Map<string, Map<string, Histogram>>();
  readonly #batch = new Histogram(BATCH_BOUNDS);
  readonly #restarts = new Map<string, number>();
  readonly #queues = new Map<string, () => number>();
  readonly #caches = new Map<string, () => CacheFigures>();
  #replica: (() => ReplicaFigures) | undefined;
  #rollback: (() => RollbackFigures) | undefined;
  #changes = 0;
  #lanesBusy = (): number => 0;
  #watchers = (): number => 0;
  #feedLagSeconds = (): number => 0;
  #fsck = (): FsckFigures => ({ open: new Map(), checked: 0, position: 0, sweepSeconds: 0 });

  constructor() {
    this.#registerOperations();
    this.#registerOwners();
    this.#registerCaches();
    this.#registerReplica();
    this.#registerRollback();
    this.#registerFsck();
  }

  /**
   * One operation that ended.
   *
   * @param outcome "ok", or the code of its error: never what somebody sent, each makes a series.
   */
  observe(operation: string, outcome: string, seconds: number): void {
    let outcomes = this.#operations.get(operation);
    if (outcomes === undefined)
      this.#operations.set(operation, (outcomes = new Map<string, Histogram>()));
    let histogram = outcomes.get(outcome);
    if (histogram === undefined) {
      outcomes.set(outcome, (histogram = new Histogram(OPERATION_BOUNDS_SECONDS)));
    }
    histogram.observe(seconds);
  }

  /** How many writes went into one transaction. */
  observeBatch(writes: number): void {
    this.#batch.observe(writes);
  }

  /** Changes that this process committed. */
  countChanges(changes: number): void {
    this.#changes += changes;
  }

  /** A server that died and was started again. */
  countRestart(server: string): void {
    this.#restarts.set(server, (this.#restarts.get(server) ?? 0) + 1);
  }

  /** The length of a queue; a second reader of the same queue replaces the first. */
  exposeQueue(queue: string, length: () => number): void {
    this.#queues.set(queue, length);
  }

  /** The figures of a cache; a second reader of the same cache replaces the first. */
  exposeCache(cache: string, figures: () => CacheFigures): void {
    this.#caches.set(cache, figures);
  }

  /** How the replica does, and who answered the reads that it might have. */
  exposeReplica(figures: () => ReplicaFigures): void {
    this.#replica = figures;
  }

  /** How the rollback database does. */
  exposeRollback(figures: () => RollbackFigures): void {
    this.#rollback = figures;
  }

  /** Figures of a part that says itself what they are called; once a name. */
  expose(info: MetricInfo, read: () => readonly Sample[]): void {
    this.#register(info, read);
  }

  /** How many connections are writing. */
  exposeLanesBusy(busy: () => number): void {
    this.#lanesBusy = busy;
  }

  /** How many watch the feed. */
  exposeWatchers(watchers: () => number): void {
    this.#watchers = watchers;
  }

  /** The age of the oldest change that was committed and not yet handed on; 0 when all were. */
  exposeFeedLag(lagSeconds: () => number): void {
    this.#feedLagSeconds = lagSeconds;
  }

  /** What the confusion detector found and did. */
  exposeFsck(figures: () => FsckFigures): void {
    this.#fsck = figures;
  }

  /** Adds what Node.js tells of the process: memory, CPU, event loop, garbage collection. */
  addProcess(): void {
    this.#registries.push(processFigures());
  }

  /** Everything, as `GET /metrics` answers it. */
  render(): Promise<FigureText> {
    return renderFigures(this.#registries);
  }

  #registerOperations(): void {
    this.#register(
      { name: OPERATION, type: "histogram", help: "Time that an operation took, by its outcome." },
      () =>
        [...this.#operations].flatMap(([operation, outcomes]) =>
          [...outcomes].flatMap(([outcome, histogram]) =>
            histogram.samples(OPERATION, { operation, outcome }),
          ),
        ),
    );
    this.#register({ name: BATCH, type: "histogram", help: "Writes in one transaction." }, () =>
      this.#batch.samples(BATCH, {}),
    );
    this.#register(
      { name: "agent_runtime_changes_total", type: "counter", help: "Changes committed." },
      () => one(this.#changes),
    );
    this.#register(
      {
        name: "agent_runtime_server_restarts_total",
        type: "counter",
        help: "Database servers that died and were started again.",
      },
      () => [...this.#restarts].map(([server, value]) => ({ labels: { server }, value })),
    );
  }

  #registerOwners(): void {
    this.#register(
      { name: "agent_runtime_queue_length", type: "gauge", help: "What waits in a queue." },
      () => [...this.#queues].map(([queue, length]) => ({ labels: { queue }, value: length() })),
    );
    this.#register(
      { name: "agent_runtime_lanes_busy", type: "gauge", help: "Connections that are writing." },
      () => one(this.#lanesBusy()),
    );
    this.#register(
      { name: "agent_runtime_watchers", type: "gauge", help: "Who watches the feed." },
      () => one(this.#watchers()),
    );
    this.#register(
      {
        name: "agent_runtime_feed_lag_seconds",
        type: "gauge",
        help: "Age of the oldest committed change that was not yet handed to the watchers.",
      },
      () => one(this.#feedLagSeconds()),
    );
  }

  #registerCaches(): void {
    const each = (read: (figures: CacheFigures) => number) => () =>
      [...this.#caches].map(([cache, figures]) => ({ labels: { cache }, value: read(figures()) }));
    const add = (
      info: Pick<MetricInfo, "type" | "help"> & { readonly of: string },
      read: (figures: CacheFigures) => number,
    ): void => {
      const { of, type, help } = info;
      this.#register({ name: `agent_runtime_cache_${of}`, type, help }, each(read));
    };
    add({ of: "hits_total", type: "counter", help: "Reads that it answered." }, (c) => c.hits);
    add({ of: "misses_total", type: "counter", help: "Reads that it could not." }, (c) => c.misses);
    add({ of: "entries", type: "gauge", help: "States that it holds." }, (c) => c.size);
    add(
      { of: "bytes", type: "gauge", help: "Bytes of the documents that it holds." },
      (c) => c.bytes,
    );
  }

  #registerReplica(): void {
    const add = (
      name: string,
      info: Pick<MetricInfo, "type" | "help">,
      read: (figures: ReplicaFigures) => readonly Sample[],
    ): void => {
      const samples = (): readonly Sample[] =>
        this.#replica === undefined ? [] : read(this.#replica());
      this.#register({ name: `agent_runtime_${name}`, ...info }, samples);
    };
    add(
      "reads_total",
      { type: "counter", help: "Reads that a replica might serve, by who did." },
      (r) => Object.entries(r.served).map(([by, value]) => ({ labels: { served_by: by }, value })),
    );
    add(
      "replica_retries_total",
      { type: "counter", help: "Reads that it was asked once more." },
      (r) => one(r.retries),
    );
    add(
      "replica_fallbacks_total",
      { type: "counter", help: "Reads that went to main instead." },
      (r) => [...r.fallbacks].map(([reason, value]) => ({ labels: { reason }, value })),
    );
    add("replica_up", { type: "gauge", help: "1 where the replica serves reads." }, (r) =>
      one(r.health === "ok" ? 1 : 0),
    );
    add(
      "replica_lag_seconds",
      { type: "gauge", help: "How long it has not had what main had." },
      (r) => one(r.lagMs / 1_000),
    );
  }

  #registerRollback(): void {
    const add = (
      name: string,
      help: string,
      read: (figures: RollbackFigures) => readonly Sample[],
    ): void => {
      const samples = (): readonly Sample[] =>
        this.#rollback === undefined ? [] : read(this.#rollback());
      this.#register({ name: `agent_runtime_rollback_${name}`, type: "gauge", help }, samples);
    };
    add("up", "1 where it is followed, here or by another service.", ({ health }) =>
      one(health === "unavailable" ? 0 : 1),
    );
    add("lag_seconds", "How long it has not had what main had.", ({ lagMs }) =>
      lagMs === null ? [] : one(lagMs / 1_000),
    );
    add("changes_behind", "Changes of main that it lacks, counted up to 10,000.", (figures) =>
      one(figures.changesBehind),
    );
    add("scopes", "Scopes that it holds, and those of them that wait.", (figures) => [
      { labels: { which: "all" }, value: figures.scopes },
      { labels: { which: "held" }, value: figures.held },
      { labels: { which: "broken" }, value: figures.broken },
      { labels: { which: "suspect" }, value: figures.suspect },
    ]);
  }

  #registerFsck(): void {
    this.#register(
      {
        name: "agent_runtime_findings_open",
        type: "gauge",
        help: "Findings that are not settled.",
      },
      () => [...this.#fsck().open].map(([check, value]) => ({ labels: { check }, value })),
    );
    this.#register(
      { name: "agent_runtime_fsck_states_total", type: "counter", help: "States looked at." },
      () => one(this.#fsck().checked),
    );
    this.#register(
      {
        name: "agent_runtime_fsck_position",
        type: "gauge",
        help: "Number of the state that the scrub has looked at last; 0: it starts over.",
      },
      () => one(this.#fsck().position),
    );
    this.#register(
      {
        name: "agent_runtime_fsck_sweep_seconds",
        type: "gauge",
        help: "Time of the newest sweep.",
      },
      () => one(this.#fsck().sweepSeconds),
    );
  }

  #register(info: MetricInfo, read: () => readonly Sample[]): void {
    registerPulled(this.#registry, info, read);
  }
}

function one(value: number): Sample[] {
  return [{ labels: {}, value }];
}
