import { ParkedMessages } from "../intake/parked-messages.ts";
import { updateKind } from "../intake/parse-update.ts";
import { MESSAGE_BYTES } from "../intake/read-event.ts";
import { factKind } from "../lifecycle/fact-event.ts";
import { LifecycleFacts } from "../lifecycle/lifecycle-facts.ts";
import { Lifecycles } from "../lifecycle/lifecycles.ts";
import type { LifecycleFigures } from "../lifecycle/lifecycles.ts";
import type { Loop } from "../service/loop.ts";
import { silentLog } from "../service/log.ts";
import { Metrics } from "../service/metrics.ts";
import { exposeShared } from "../service/shared-cache-metrics.ts";
import { Tracing } from "../service/tracing.ts";
import type { ParkedFace } from "../state/parked-face.ts";
import type { LifecycleFace } from "../state/fact-sink.ts";
import type { MessageKind } from "../state/message-kind.ts";
import type { CallOptions, Changeset, ReadOptions } from "../state/request.ts";
import type { Committed, State } from "../state/state.ts";
import type { ReadReplica } from "../state/ports.ts";
import { sweeperOf } from "../tasks/sweeper.ts";
import type { TaskManager } from "../tasks/task-manager.ts";
import { Batcher } from "./batcher.ts";
import { FeedTail } from "./change-feed.ts";
import { ChangeReader } from "./change-reader.ts";
import { Directory } from "./directory.ts";
import { Fsck } from "./fsck.ts";
import { followForeignChanges } from "./foreign-changes.ts";
import { DEFAULT_LIMITS } from "./limits.ts";
import type { Limits } from "./limits.ts";
import type { ManagerOptions } from "./manager-options.ts";
import { openTasks } from "./open-tasks.ts";
import type { HowTasksDo } from "./open-tasks.ts";
import { Operations } from "./operations.ts";
import { OwnWrites } from "./own-writes.ts";
import { Queries } from "./queries.ts";
import { Reader } from "./reader.ts";
import type { RecoverySources } from "./roll-back.ts";
import { SharedFreshness } from "./shared-freshness.ts";
import { SharedReads } from "./shared-reads.ts";
import { StateCache } from "./state-cache.ts";
import { keepUp } from "./upkeep.ts";
import { Writer } from "./writer.ts";

const QUEUE_BYTES = 256 * 1024 * 1024;
const KEEP_BYTES = 64 * 1024 * 1024;

/** What a state manager consists of; each part knows only those it was given. */
export interface Parts {
  readonly limits: Limits;
  readonly metrics: Metrics;
  readonly operations: Operations;
  readonly reader: Reader;
  /** Null: no cache is shared with others. */
  readonly shared: SharedReads | null;
  readonly batcher: Batcher;
  readonly writer: Writer;
  readonly queries: Queries;
  readonly tail: FeedTail;
  readonly changes: ChangeReader;
  readonly recovery: RecoverySources;
  readonly tasks: TaskManager;
  readonly howTasksDo: () => HowTasksDo;
  readonly parked: ParkedFace;
  readonly lifecycle: LifecycleFace;
  readonly lifecycles: Lifecycles;
  /** What the messages of each topic mean. */
  readonly kinds: { readonly updates: MessageKind; readonly facts: MessageKind };
  readonly fsck: Fsck;
  readonly loops: readonly Pick<Loop, "start" | "stop">[];
  /** From now on, what other processes commit is looked at as soon as they say so. */
  readonly hearOthers: () => void;
}

/** What the parts tell the manager they are of, and ask of it. */
export interface Owner {
  /** Something was written: whoever waits for changes looks at once. */
  readonly onWritten: () => void;
  readonly commit: (changeset: Changeset, options?: CallOptions) => Promise<Committed>;
  readonly getState: (id: string, options?: ReadOptions) => Promise<State>;
}

/** Makes the parts and joins them; nothing runs until the loops are started. */
export function joinParts(options: ManagerOptions, owner: Owner): Parts {
  const { store, pollMs = 200, log = silentLog, limits = DEFAULT_LIMITS } = options;
  const metrics = options.metrics ?? new Metrics();
  const freshness = options.shared === undefined ? null : new SharedFreshness();
  const directory = new Directory(undefined, freshness ?? undefined);
  const bounds = options.cache ?? { entries: 100_000, bytes: KEEP_BYTES };
  const cache = new StateCache(bounds, directory);
  const shared = openShared(options, { freshness, directory });
  const reader = new Reader(shared ?? store, cache);
  const recovery = { store, reader, cache, copies: options.copies ?? null };
  const { tasks, survey, pruner, howTasksDo } = openTasks(options, {
    limits,
    cache,
    metrics,
    onWritten: owner.onWritten,
    onDue: () => upkeep.wake(),
  });
  const batcher = openBatcher(options, (units) => {
    metrics.observeBatch(units);
    owner.onWritten();
  });
  const writer = new Writer({
    batcher,
    store,
    reader,
    cache,
    directory,
    ownWrites: new OwnWrites({ cache, directory, reader }),
    onCommitted: (changes) => metrics.countChanges(changes),
  });
  const upkeep: Loop = keepUp({
    store,
    historyDays: options.historyDays ?? 0,
    log,
    remove: owner.commit,
    pauseMs: tasks.sweepMs,
    sweep: sweeperOf(tasks, { survey, pruner, wake: () => upkeep.wake() }),
  });
  const tail = openTail(options);
  const foreign = followForeignChanges({ store, cache, reader, freshness, pollMs, log });
  const fsck = new Fsck({ store, cache, directory, limits, log }, options.fsck);
  expose(metrics, { batcher, tail, cache, fsck, shared, replica: store.replica });
  return {
    limits,
    metrics,
    operations: new Operations(metrics, options.tracing ?? new Tracing(false)),
    reader,
    shared,
    batcher,
    writer,
    queries: new Queries({ ...recovery, store, limits }),
    tail,
    changes: new ChangeReader(store),
    recovery,
    tasks,
    howTasksDo,
    ...openMessages(options, { owner, tasks, limits, metrics }),
    fsck,
    loops: [fsck, foreign, upkeep],
    hearOthers: () =>
      store.changeBell?.listen(() => {
        foreign.wake();
        tail.poke();
      }),
  };
}

/** What comes in from elsewhere, and what it means. */
function openMessages(
  { store, bus, lifecycleTopic = "agent_lifecycle_events", log = silentLog }: ManagerOptions,
  {
    owner,
    tasks,
    limits,
    metrics,
  }: Pick<Parts, "tasks" | "limits" | "metrics"> & { readonly owner: Owner },
): Pick<Parts, "parked" | "lifecycle" | "lifecycles" | "kinds"> {
  const lifecycles = new Lifecycles({
    states: owner,
    endLeases: (namespace, ended) => tasks.endLeases(namespace, ended),
    log,
  });
  exposeLifecycle(metrics, () => lifecycles.figures);
  const bounds = { ...limits, bodyBytes: MESSAGE_BYTES };
  const kinds = {
    updates: updateKind(owner.commit, bounds),
    facts: factKind((...facts) => lifecycles.apply(...facts), bounds),
  };
  const kindOf = (topic: string): MessageKind =>
    topic === lifecycleTopic ? kinds.facts : kinds.updates;
  return {
    parked: new ParkedMessages({ store: store.parked, kindOf, limits }),
    lifecycle: new LifecycleFacts({ lifecycles, bus: bus ?? null, topic: lifecycleTopic }),
    lifecycles,
    kinds,
  };
}

function exposeLifecycle(metrics: Metrics, figures: () => LifecycleFigures): void {
  const facts = { name: "agent_runtime_lifecycle_facts_total", type: "counter" } as const;
  metrics.expose({ ...facts, help: "Facts about pods, by what they told." }, () => {
    const { applied, late, doubled } = figures();
    return [
      { labels: { told: "new" }, value: applied },
      { labels: { told: "late" }, value: late },
      { labels: { told: "nothing new" }, value: doubled },
    ];
  });
  const released = { name: "agent_runtime_lifecycle_released_total", type: "counter" } as const;
  metrics.expose({ ...released, help: "Tasks taken from workers whose pod ended." }, () => [
    { labels: {}, value: figures().released },
  ]);
}

function openBatcher(options: ManagerOptions, onFlush: (units: number) => void): Batcher {
  return new Batcher({
    store: options.store,
    batchLimit: options.batchLimit ?? 256,
    queueLimit: options.queueLimit ?? 10_000,
    queueBytes: QUEUE_BYTES,
    timeoutMs: options.writeTimeoutMs ?? 30_000,
    onFlush,
  });
}

function openShared(
  { store, shared }: ManagerOptions,
  known: { readonly freshness: SharedFreshness | null; readonly directory: Directory },
): SharedReads | null {
  const { freshness, directory } = known;
  if (shared === undefined || freshness === null) return null;
  return new SharedReads({ store, shared, freshness, directory });
}

function openTail({ store, pollMs = 200, keepChanges, log = silentLog }: ManagerOptions): FeedTail {
  const keep = { keepChanges: keepChanges ?? 10_000, keepBytes: KEEP_BYTES };
  return new FeedTail({ store, pollMs, ...keep, log });
}

interface Exposed {
  readonly batcher: Batcher;
  readonly tail: FeedTail;
  readonly cache: StateCache;
  readonly fsck: Fsck;
  readonly shared: SharedReads | null;
  readonly replica: ReadReplica | null;
}

function expose(metrics: Metrics, parts: Exposed): void {
  const { batcher, tail, cache, fsck, shared, replica } = parts;
  metrics.exposeQueue("write", () => batcher.length);
  metrics.exposeLanesBusy(() => batcher.busyLanes);
  metrics.exposeWatchers(() => tail.watchers);
  metrics.exposeCache("l1", () => cache.figures);
  if (shared !== null) exposeShared(metrics, () => shared.status);
  metrics.exposeFsck(() => fsck.figures);
  if (replica !== null) metrics.exposeReplica(() => ({ ...replica.figures, ...replica.status }));
}
