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

/** Takes changesets through the batcher and makes answers of what the database says. */
export class Writer {
  readonly #options: WriterOptions;
  #active = 0;
  #closed = false;
  readonly #whenIdle: (() => void)[] = [];

  constructor(options: WriterOptions) {
    this.#options = options;
  }

  /** @throws {AgentRuntimeError} why it was refused, or that it may have happened. */
  write(unit: PreparedUnit, call: CallOptions): Promise<Committed> {
    return this.#limit(unit, call, committed);
  }

  /** The same for a unit of one change. */
  writeOne(unit: PreparedUnit, call: CallOptions): Promise<Written> {
    return this.#limit(unit, call, written);
  }

  /** Takes nothing more, and waits for what was taken. Safe twice. */
  async drain(): Promise<void> {
    this.#closed = true;
    if (this.#active > 0) await new Promise<void>((resolve) => this.#whenIdle.push(resolve));
    await this.#options.batcher.drain();
  }

  /** Few calls bring a limit of their own; the others are spared what watches over one. */
  #limit<T>(unit: PreparedUnit, call: CallOptions, answer: Answer<T>): Promise<T> {
    if (call.signal === undefined && call.timeoutMs === undefined) return this.#write(unit, answer);
    let ticket: Ticket | undefined;
    const mayHaveHappened = (): boolean => ticket !== undefined && !ticket.cancel();
    return withDeadline({ ...call, what: "The write", mayHaveHappened }, () =>
      this.#write(unit, answer, (sent) => (ticket = sent)),
    );
  }

  async #write<T>(
    unit: PreparedUnit,
    answer: Answer<T>,
    onTicket?: (ticket: Ticket) => void,
  ): Promise<T> {
    if (this.#closed) throw closed();
    this.#active++;
    try {
      const smaller = this.#asDelta(unit);
      let sent = smaller ?? unit;
      let rows = await this.#send(sent, onTicket);
      // The delta was made from a version that is no longer the newest: then the whole document goes.
      if (smaller !== null && rows[0]!.code === "REBASE") {
        sent = unit;
        rows = await this.#send(sent, onTicket);
      }
      if (rows.every(isCommitted)) {
        this.#options.ownWrites.remember(sent, rows);
        this.#options.onCommitted(rows.length);
        return answer(sent, rows, false);
      }
      return answer(sent, await this.#firstAnswer(sent, rows), true);
    } catch (error) {
      if (isUncertain(error)) this.#options.ownWrites.doubt(unit);
      throw error;
    } finally {
      this.#active--;
      if (this.#active === 0) for (const resolve of this.#whenIdle.splice(0)) resolve();
    }
  }

  #send(unit: PreparedUnit, onTicket?: (ticket: Ticket) => void): Promise<readonly ChangeRow[]> {
    const { batcher } = this.#options;
    const ticket = batcher.add(unit, this.#scopeOf(unit), this.#mayBeNew(unit));
    onTicket?.(ticket);
    return ticket.rows;
  }

  /** The scope that a unit will step, as far as this process knows. */
  #scopeOf(unit: PreparedUnit): string {
    if (unit.scope !== null) return unit.scope;
    const { id } = unit.changes[0]!;
    return this.#options.directory.scopeOf({ namespace: unit.namespace, id }) ?? id;
  }

  #mayBeNew(unit: PreparedUnit): boolean {
    const { directory } = this.#options;
    return unit.changes.some(
      ({ id }) => directory.scopeOf({ namespace: unit.namespace, id }) === undefined,
    );
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

  /** What the first write with the same idempotency key was answered; throws where a unit was refused. */
  async #firstAnswer(
    unit: PreparedUnit,
    rows: readonly ChangeRow[],
  ): Promise<readonly ChangeRow[]> {
    const { store, reader, ownWrites } = this.#options;
    const refused = rows.findIndex(({ code }) => code !== null && code !== "UNIT_REFUSED");
    const row = rows[refused]!;
    if (row.code === "REPLAYED") {
      const first = await store.readStep(unit.namespace, row.scope, row.step);
      const byId = new Map(first.map((one) => [one.id, one]));
      for (const one of first) ownWrites.note({ namespace: unit.namespace, id: one.id }, one);
      return unit.changes.map((change) => byId.get(change.id) ?? row);
    }
    const { id } = unit.changes[refused]!;
    const current = wantsCurrent(row) ? await reader.read({ namespace: unit.namespace, id }) : null;
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
