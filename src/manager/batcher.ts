import { timedOut } from "../service/deadline.ts";
import { AgentRuntimeError } from "../state/errors.ts";
import type { ChangeRow, PreparedUnit, StateStore } from "../state/ports.ts";
import { laneOf } from "./lane-of.ts";
import { nameOf } from "./state-name.ts";

export interface BatcherOptions {
  readonly store: Pick<StateStore, "lanes" | "batchBytes" | "commitBatch" | "disown">;
  /** Changesets that share a transaction at most. */
  readonly batchLimit: number;
  /** Changesets that may wait; one more is refused. */
  readonly queueLimit: number;
  /** Bytes of documents that may wait. */
  readonly queueBytes: number;
  /** Milliseconds after which a changeset is answered at the latest, wherever it is by then. */
  readonly timeoutMs: number;
  /** Told after every flush: how many changesets it held. */
  readonly onFlush?: (units: number) => void;
}

/** A changeset on its way. */
export interface Ticket {
  /** What the database answered, one row a change. */
  readonly rows: Promise<readonly ChangeRow[]>;
  /** Takes it back if it still waits; false: it was sent, and may happen. */
  cancel(): boolean;
}

/**
 * A changeset from its arrival to its answer.
 *
 * A class, for V8 puts object literals straight into its old space once many of them outlived a
 * collection, as those do that wait for a commit. There each keeps all that it points to until the
 * next full collection: measured a sixth of all that a write costs.
 */
class Waiting implements Ticket {
  readonly lane: Lane;
  readonly unit: PreparedUnit;
  readonly reserve: boolean;
  readonly bytes: number;
  readonly sinceMs = performance.now();
  readonly rows: Promise<readonly ChangeRow[]>;
  state: "waiting" | "sent" | "canceled" = "waiting";
  resolve!: (rows: readonly ChangeRow[]) => void;
  reject!: (error: unknown) => void;

  constructor(
    lane: Lane,
    unit: PreparedUnit,
    options: { readonly reserve: boolean; readonly bytes: number },
  ) {
    this.lane = lane;
    this.unit = unit;
    this.reserve = options.reserve;
    this.bytes = options.bytes;
    this.rows = new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
  }

  cancel(): boolean {
    const taken = this.lane.takeBack(this);
    if (taken) this.reject(takenBack());
    return taken;
  }
}

interface Lane {
  readonly number: number;
  queue: Waiting[];
  /** How many of the queue were taken back, at most. */
  canceled: number;
  /** The transaction that is under way. */
  sent: readonly Waiting[];
  busy: boolean;
  armed: boolean;
  readonly takeBack: (waiting: Waiting) => boolean;
}

const RETRY_AFTER_MS = 250;

const SWEEP_FROM = 100;

/** How often in its time a changeset is looked at: a timer for each would cost more than its share of a commit. */
const LOOKS = 20;

/**
 * Group commit: concurrent changesets share a transaction without sharing their fate.
 *
 * A changeset goes to the lane of its scope, so that no two lanes write one scope. A lane that is
 * free sends at once what came in this turn of the event loop; while it is busy, more gathers. So an
 * idle system adds no waiting and a busy one needs few commits.
 */
export class Batcher {
  readonly #options: BatcherOptions;
  readonly #lanes: Lane[];
  readonly #clock: NodeJS.Timeout;
  #waiting = 0;
  #bytes = 0;
  #closed = false;
  readonly #whenIdle: (() => void)[] = [];

  constructor(options: BatcherOptions) {
    this.#options = options;
    this.#lanes = Array.from({ length: options.store.lanes }, (_, number) => {
      const takeBack = (waiting: Waiting): boolean => this.#cancel(waiting);
      return { number, queue: [], canceled: 0, sent: [], busy: false, armed: false, takeBack };
    });
    this.#clock = setInterval(() => this.#expire(), Math.ceil(options.timeoutMs / LOOKS)).unref();
  }

  /** Changesets that wait or are on their way. */
  get length(): number {
    return this.#waiting;
  }

  get busyLanes(): number {
    return this.#lanes.reduce((count, lane) => count + (lane.busy ? 1 : 0), 0);
  }

  /**
   * @param scope what decides the lane: the changeset's scope where it is known.
   * @param reserve false where all its states are known to exist.
   * @throws {AgentRuntimeError} UNAVAILABLE: too many wait already, or it is closed.
   */
  add(unit: PreparedUnit, scope: string, reserve: boolean): Ticket {
    const bytes = bytesOf(unit);
    this.#admit(bytes);
    const lane = this.#lanes[laneOf(unit.namespace, scope, this.#lanes.length)]!;
    const waiting = new Waiting(lane, unit, { reserve, bytes });
    this.#waiting++;
    this.#bytes += bytes;
    lane.queue.push(waiting);
    this.#arm(lane);
    return waiting;
  }

  /** Refuses what comes from now on, and waits for what was accepted. Safe twice. */
  async drain(): Promise<void> {
    this.#closed = true;
    if (this.#waiting > 0) await new Promise<void>((resolve) => this.#whenIdle.push(resolve));
    clearInterval(this.#clock);
  }

  #admit(bytes: number): void {
    if (this.#closed) throw closed();
    const { queueLimit, queueBytes } = this.#options;
    if (this.#waiting < queueLimit && this.#bytes + bytes <= Math.max(queueBytes, bytes)) return;
    throw new AgentRuntimeError(
      "UNAVAILABLE",
      `Too many writes are waiting (${this.#waiting}). Nothing happened; slow down and try again.`,
      { mayHaveHappened: false, retryAfterMs: RETRY_AFTER_MS },
    );
  }

  #arm(lane: Lane): void {
    if (lane.busy || lane.armed) return;
    lane.armed = true;
    // After this turn of the event loop: what it still brings shares the transaction.
    setImmediate(() => {
      lane.armed = false;
      void this.#run(lane);
    });
  }

  async #run(lane: Lane): Promise<void> {
    lane.busy = true;
    while (lane.queue.length > 0) {
      const { batchLimit, store } = this.#options;
      const batch = take(lane, batchLimit, store.batchBytes);
      if (batch.length > 0) await this.#flush(lane, batch);
    }
    lane.busy = false;
  }

  async #flush(lane: Lane, batch: readonly Waiting[]): Promise<void> {
    lane.sent = batch;
    try {
      const answers = await this.#options.store.commitBatch(
        lane.number,
        batch.map(({ unit }) => unit),
        batch.some(({ reserve }) => reserve),
      );
      batch.forEach((waiting, index) => waiting.resolve(answers[index]!));
    } catch (error) {
      for (const waiting of batch) waiting.reject(error);
    }
    lane.sent = [];
    for (const waiting of batch) this.#settle(waiting);
    this.#options.onFlush?.(batch.length);
  }

  #cancel(waiting: Waiting): boolean {
    if (waiting.state !== "waiting") return false;
    waiting.state = "canceled";
    this.#settle(waiting);
    const { lane } = waiting;
    lane.canceled++;
    // A lane that is stuck behind a silent database would else gather what nobody waits for.
    if (lane.canceled > SWEEP_FROM && lane.canceled > lane.queue.length / 2) {
      lane.queue = lane.queue.filter(({ state }) => state === "waiting");
      lane.canceled = 0;
    }
    return true;
  }

  /** Answers those whose time is over, so that nobody waits behind a database that is silent. */
  #expire(): void {
    const { timeoutMs } = this.#options;
    const since = performance.now() - timeoutMs;
    for (const { sent, queue } of this.#lanes) {
      for (const waiting of [...sent, ...queue]) {
        if (waiting.sinceMs > since || waiting.state === "canceled") continue;
        const mayHaveHappened = (): boolean => !this.#cancel(waiting);
        // Its answer may still come, and then nobody is there to learn from it.
        if (waiting.state === "sent") this.#options.store.disown();
        waiting.reject(timedOut({ what: "The write", timeoutMs, mayHaveHappened }));
      }
    }
  }

  #settle(waiting: Waiting): void {
    this.#waiting--;
    this.#bytes -= waiting.bytes;
    if (this.#waiting > 0) return;
    for (const resolve of this.#whenIdle.splice(0)) resolve();
  }
}

function takenBack(): AgentRuntimeError {
  return new AgentRuntimeError("CANCELED", "The write was taken back. Nothing happened.", {
    mayHaveHappened: false,
  });
}

/** What is answered from the moment on that somebody closes. */
export function closed(): AgentRuntimeError {
  return new AgentRuntimeError("UNAVAILABLE", "The state manager is closed. Nothing happened.", {
    mayHaveHappened: false,
  });
}

/**
 * The next transaction of a lane, in the order things came. What depends on an earlier one of the
 * same batch (its state, its key, its step) waits for the next, so that the database need not take
 * the batch apart; and what came later for the same state waits with it.
 */
function take(lane: Lane, limit: number, maxBytes: number): Waiting[] {
  const batch: Waiting[] = [];
  const rest: Waiting[] = [];
  const touched = new Map<string, "plain" | "bound">();
  let bytes = 0;
  let index = 0;
  for (; index < lane.queue.length && batch.length < limit; index++) {
    const waiting = lane.queue[index]!;
    if (waiting.state === "canceled") continue;
    if (batch.length > 0 && bytes + waiting.bytes > maxBytes) break;
    if (!fits(waiting.unit, touched, batch.length)) {
      rest.push(waiting);
      continue;
    }
    waiting.state = "sent";
    bytes += waiting.bytes;
    batch.push(waiting);
    if (waiting.unit.expectedStep !== null) {
      index++;
      break;
    }
  }
  lane.queue = rest.length === 0 ? lane.queue.slice(index) : rest.concat(lane.queue.slice(index));
  return batch;
}

/** Whether a unit can share the transaction; marks its states either way. */
function fits(
  unit: PreparedUnit,
  touched: Map<string, "plain" | "bound">,
  before: number,
): boolean {
  const kind = isPlain(unit) ? "plain" : "bound";
  const keys = keysOf(unit);
  const free = keys.every((key) => {
    const other = touched.get(key);
    return other === undefined || (other === "plain" && kind === "plain");
  });
  const alone = unit.expectedStep === null || before === 0;
  for (const key of keys) touched.set(key, free && alone ? kind : "bound");
  return free && alone;
}

/** What no other unit of the transaction may touch too: states, and the key. */
function keysOf(unit: PreparedUnit): string[] {
  const { namespace, changes, idempotencyKey } = unit;
  const keys = changes.map(({ id }) => nameOf(namespace, id));
  if (idempotencyKey !== null) keys.push(`${namespace}\u001e${idempotencyKey}`);
  return keys;
}

function bytesOf(unit: PreparedUnit): number {
  let bytes = 0;
  for (const { body } of unit.changes) bytes += body?.length ?? 0;
  return bytes;
}

/** A single replacement without a condition: a run of them on one state is one chain of versions. */
function isPlain(unit: PreparedUnit): boolean {
  const [change] = unit.changes;
  return (
    unit.changes.length === 1 &&
    unit.idempotencyKey === null &&
    change!.op === "update" &&
    change!.expectedVersion === null &&
    change!.phase === null
  );
}
