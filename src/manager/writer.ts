import { withDeadline } from "../service/deadline.ts";
import { deltaBetween } from "../state/delta.ts";
import { isUncertain } from "../state/errors.ts";
import type { Json } from "../state/json.ts";
import type { ChangeRow, PreparedUnit, StateStore } from "../state/ports.ts";
import type { CallOptions } from "../state/request.ts";
import type { Committed, Written } from "../state/state.ts";
import { closed } from "./batcher.ts";
import type { Batcher, Ticket } from "./batcher.ts";
import type { Directory } from "./directory.ts";
import { DELTA_FROM_CHARACTERS } from "./own-writes.ts";
import type { OwnWrites } from "./own-writes.ts";
import type { Reader } from "./reader.ts";
import { refusal, wantsCurrent } from "./refusal.ts";
import type { StateCache } from "./state-cache.ts";

/** A delta is kept only where it is this many times smaller than the document. */
const DELTA_WORTH = 2;

export interface WriterOptions {
  readonly batcher: Batcher;
  readonly store: Pick<StateStore, "readStep">;
  readonly reader: Reader;
  readonly cache: StateCache;
  readonly directory: Directory;
  readonly ownWrites: OwnWrites;
  /** Told after every commit: how many changes it made. */
  readonly onCommitted: (changes: number) => void;
}

/** Makes what a caller is told of what the database says. */
type Answer<T> = (unit: PreparedUnit, rows: readonly ChangeRow[], replayed: boolean) => T;

/** What one write needs on its way. */
interface Way<T> {
  readonly answer: Answer<T>;
  /** Reads the states that refusals carry. */
  readonly reader: Pick<Reader, "read">;
  readonly onTicket?: (ticket: Ticket) => void;
}

/** Takes changesets through the batcher and makes answers of what the database says. */
export class Writer {
  readonly #options: WriterOptions;
  #active = 0;
  #closed = false;
  readonly #whenIdle: (() => void)[] = [];

  constructor(options: WriterOptions) {
    this.#options = options;
  }

  /**
   * @param reader reads the states that refusals carry.
   * @throws {AgentRuntimeError} why it was refused, or that it may have happened.
   */
  write(
    unit: PreparedUnit,
    call: CallOptions,
    reader: Pick<Reader, "read"> = this.#options.reader,
  ): Promise<Committed> {
    return this.#start(unit, call, { answer: committed, reader });
  }

  /** The same for a unit of one change. */
  writeOne(unit: PreparedUnit, call: CallOptions): Promise<Written> {
    return this.#start(unit, call, { answer: written, reader: this.#options.reader });
  }

  /** Takes nothing more, and waits for what was taken. Safe twice. */
  async drain(): Promise<void> {
    this.#closed = true;
    if (this.#active > 0) await new Promise<void>((resolve) => this.#whenIdle.push(resolve));
    await this.#options.batcher.drain();
  }

  /** Few calls bring a limit of their own; the others are spared what watches over one. */
  #start<T>(unit: PreparedUnit, call: CallOptions, way: Way<T>): Promise<T> {
    if (call.signal === undefined && call.timeoutMs === undefined) return this.#write(unit, way);
    let ticket: Ticket | undefined;
    const mayHaveHappened = (): boolean => ticket !== undefined && !ticket.cancel();
    return withDeadline({ ...call, what: "The write", mayHaveHappened }, () =>
      this.#write(unit, { ...way, onTicket: (sent) => (ticket = sent) }),
    );
  }

  async #write<T>(unit: PreparedUnit, way: Way<T>): Promise<T> {
    if (this.#closed) throw closed();
    this.#active++;
    try {
      const smaller = this.#asDelta(unit);
      let sent = smaller ?? unit;
      let rows = await this.#send(sent, way);
      // The delta was made from a version that is no longer the newest: then the whole document goes.
      if (smaller !== null && rows[0]!.code === "REBASE") {
        sent = unit;
        rows = await this.#send(sent, way);
      }
      if (!rows.every(isCommitted)) return await this.#otherAnswer(unit, rows, way);
      this.#options.ownWrites.remember(sent, rows);
      this.#options.onCommitted(rows.length);
      return way.answer(sent, rows, false);
    } catch (error) {
      if (isUncertain(error)) this.#options.ownWrites.doubt(unit);
      throw error;
    } finally {
      this.#active--;
      if (this.#active === 0) for (const resolve of this.#whenIdle.splice(0)) resolve();
    }
  }

  #send<T>(unit: PreparedUnit, { onTicket }: Way<T>): Promise<readonly ChangeRow[]> {
    const { batcher, directory } = this.#options;
    let { scope } = unit;
    let mayBeNew = false;
    for (const { id } of unit.changes) {
      const known = directory.scopeOf({ namespace: unit.namespace, id });
      mayBeNew ||= known === undefined;
      scope ??= known ?? id;
    }
    const ticket = batcher.add(unit, scope!, mayBeNew);
    onTicket?.(ticket);
    return ticket.rows;
  }

  /** The same unit with a delta instead of the document, where that is at hand and much smaller. */
  #asDelta(unit: PreparedUnit): PreparedUnit | null {
    const [change] = unit.changes;
    if (unit.changes.length !== 1 || unit.idempotencyKey !== null) return null;
    if (change!.op !== "update" || change!.body!.length < DELTA_FROM_CHARACTERS) return null;
    const known = this.#options.cache.data({ namespace: unit.namespace, id: change!.id });
    if (known === undefined || change!.expiresAt !== null || change!.type !== known.type)
      return null;
    const delta = deltaBetween(known.data, JSON.parse(change!.body!) as Json);
    if (delta === null) return null;
    const body = JSON.stringify(delta);
    if (body.length * DELTA_WORTH > change!.body!.length) return null;
    return { ...unit, changes: [{ ...change!, op: "delta", body, basedOn: known.version }] };
  }

  /** Where the unit was not committed now: what the first write with its key was answered, or why not. */
  async #otherAnswer<T>(unit: PreparedUnit, rows: readonly ChangeRow[], way: Way<T>): Promise<T> {
    const { store, ownWrites } = this.#options;
    const refused = rows.findIndex(({ code }) => code !== null && code !== "UNIT_REFUSED");
    const row = rows[refused]!;
    if (row.code === "REPLAYED") {
      const first = await store.readStep(unit.namespace, row.scope, row.step);
      const byId = new Map(first.map((one) => [one.id, one]));
      for (const one of first) ownWrites.note({ namespace: unit.namespace, id: one.id }, one);
      const answers = unit.changes.map((change) => byId.get(change.id) ?? row);
      return way.answer(unit, answers, true);
    }
    const { id } = unit.changes[refused]!;
    const key = { namespace: unit.namespace, id };
    const current = wantsCurrent(row) ? await way.reader.read(key) : null;
    throw refusal(unit, refused, row, current);
  }
}

function isCommitted(row: ChangeRow): boolean {
  return row.code === null;
}

function committed(unit: PreparedUnit, rows: readonly ChangeRow[], replayed: boolean): Committed {
  const { scope, step } = rows[0]!;
  const changes = rows.map((_, index) => written(unit, rows, replayed, index));
  return { namespace: unit.namespace, scope, step, replayed, changes };
}

function written(
  unit: PreparedUnit,
  rows: readonly ChangeRow[],
  replayed: boolean,
  index = 0,
): Written {
  const row = rows[index]!;
  return {
    namespace: unit.namespace,
    id: unit.changes[index]!.id,
    type: row.type,
    scope: row.scope,
    version: row.version,
    step: row.step,
    phase: row.phase,
    digest: row.digest,
    updatedAt: row.at,
    created: row.created,
    replayed,
  };
}
