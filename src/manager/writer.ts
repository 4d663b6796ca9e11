import { withDeadline } from "../service/deadline.ts";
import { applyDelta, deltaBetween } from "../state/delta.ts";
import type { Delta } from "../state/delta.ts";
import { isUncertain } from "../state/errors.ts";
import type { Json } from "../state/json.ts";
import type {
  ChangeRow,
  PreparedChange,
  PreparedUnit,
  StateKey,
  StateStore,
  StoredState,
} from "../state/ports.ts";
import type { CallOptions } from "../state/request.ts";
import type { Committed, Written } from "../state/state.ts";
import { closed } from "./batcher.ts";
import type { Batcher, Ticket } from "./batcher.ts";
import type { Reader } from "./reader.ts";
import { refusal, wantsCurrent } from "./refusal.ts";
import type { StateCache } from "./state-cache.ts";

/** Documents shorter than this are stored whole: a delta of them saves nothing. */
const DELTA_FROM_CHARACTERS = 2_048;

/** A delta is kept only where it is this many times smaller than the document. */
const DELTA_WORTH = 2;

export interface WriterOptions {
  readonly batcher: Batcher;
  readonly store: Pick<StateStore, "readStep">;
  readonly reader: Reader;
  readonly cache: StateCache;
  /** Told after every commit: how many changes it made. */
  readonly onCommitted: (changes: number) => void;
}

/** What one write needs on its way. */
interface Way {
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
  async write(
    unit: PreparedUnit,
    call: CallOptions,
    reader: Pick<Reader, "read"> = this.#options.reader,
  ): Promise<Committed> {
    if (call.signal === undefined && call.timeoutMs === undefined) {
      return this.#write(unit, { reader });
    }
    let ticket: Ticket | undefined;
    const mayHaveHappened = (): boolean => ticket !== undefined && !ticket.cancel();
    return withDeadline({ ...call, what: "The write", mayHaveHappened }, () =>
      this.#write(unit, { reader, onTicket: (sent) => (ticket = sent) }),
    );
  }

  /** Takes nothing more, and waits for what was taken. Safe twice. */
  async drain(): Promise<void> {
    this.#closed = true;
    if (this.#active > 0) await new Promise<void>((resolve) => this.#whenIdle.push(resolve));
    await this.#options.batcher.drain();
  }

  async #write(unit: PreparedUnit, way: Way): Promise<Committed> {
    if (this.#closed) throw closed();
    this.#active++;
    try {
      return await this.#attempt(unit, way);
    } catch (error) {
      if (isUncertain(error)) this.#doubt(unit);
      throw error;
    } finally {
      this.#active--;
      if (this.#active === 0) for (const resolve of this.#whenIdle.splice(0)) resolve();
    }
  }

  async #attempt(unit: PreparedUnit, way: Way): Promise<Committed> {
    const smaller = this.#asDelta(unit);
    const rows = await this.#send(smaller ?? unit, way);
    // The delta was made from a version that is no longer the newest: then the whole document goes.
    if (smaller !== null && rows[0]!.code === "REBASE") {
      return this.#answer(unit, await this.#send(unit, way), way);
    }
    return this.#answer(smaller ?? unit, rows, way);
  }

  #send(unit: PreparedUnit, { onTicket }: Way): Promise<readonly ChangeRow[]> {
    const { batcher } = this.#options;
    const ticket = batcher.add(unit, this.#scopeOf(unit), this.#mayBeNew(unit));
    onTicket?.(ticket);
    return ticket.rows;
  }

  /** The scope that a unit will step, as far as this process knows. */
  #scopeOf(unit: PreparedUnit): string {
    if (unit.scope !== null) return unit.scope;
    const { id } = unit.changes[0]!;
    return this.#options.cache.peek({ namespace: unit.namespace, id })?.scope ?? id;
  }

  #mayBeNew(unit: PreparedUnit): boolean {
    const { cache } = this.#options;
    return unit.changes.some(
      ({ id }) => cache.peek({ namespace: unit.namespace, id }) === undefined,
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

  async #answer(
    unit: PreparedUnit,
    rows: readonly ChangeRow[],
    { reader }: Way,
  ): Promise<Committed> {
    const { store, onCommitted } = this.#options;
    const refused = rows.findIndex(({ code }) => code !== null && code !== "UNIT_REFUSED");
    if (refused < 0) {
      unit.changes.forEach((change, index) => this.#remember(unit, change, rows[index]!));
      onCommitted(rows.length);
      return committed(unit, rows, false);
    }
    const row = rows[refused]!;
    const { id } = unit.changes[refused]!;
    if (row.code === "REPLAYED") {
      const first = await store.readStep(unit.namespace, row.scope, row.step);
      const byId = new Map(first.map((one) => [one.id, one]));
      for (const one of first) this.#note({ namespace: unit.namespace, id: one.id }, one);
      return committed(
        unit,
        unit.changes.map((change) => byId.get(change.id) ?? row),
        true,
      );
    }
    const current = wantsCurrent(row) ? await reader.read({ namespace: unit.namespace, id }) : null;
    throw refusal(unit, refused, row, current);
  }

  /** What was written is what this process reads next, without asking the database. */
  #remember(unit: PreparedUnit, change: PreparedChange, row: ChangeRow): void {
    const { cache, reader } = this.#options;
    const key = { namespace: unit.namespace, id: change.id };
    reader.outdate(key);
    const known = cache.peek(key);
    // Of an older version nothing is kept: another process may have changed what a write leaves alone.
    const before = known?.version === row.version - 1n ? known.head : null;
    const createdAt = row.created ? row.at : before?.createdAt;
    if (createdAt === undefined || change.op === "delete") {
      cache.note(key, row.version, row.scope);
      return;
    }
    const head = headOf(key, change, row, { createdAt, before });
    if (change.op === "update") {
      cache.put({ ...head, text: change.body });
      return;
    }
    const document = cache.data(key);
    if (document === undefined || document.version !== row.version - 1n) {
      cache.note(key, row.version, row.scope);
      return;
    }
    const data = applyDelta(document.data, JSON.parse(change.body!) as Delta);
    cache.putValue(head, data, document.characters + change.body!.length);
  }

  /** The state is at this version at least; what is being read of it may be older. */
  #note(key: StateKey, row: ChangeRow): void {
    const { cache, reader } = this.#options;
    reader.outdate(key);
    cache.note(key, row.version, row.scope);
  }

  /** It may have been written: nothing that is known here of its states is sure. */
  #doubt(unit: PreparedUnit): void {
    const { cache, reader } = this.#options;
    for (const { id } of unit.changes) {
      const key = { namespace: unit.namespace, id };
      reader.outdate(key);
      cache.forget(key);
    }
  }
}

function headOf(
  key: { readonly namespace: string; readonly id: string },
  change: PreparedChange,
  row: ChangeRow,
  past: { readonly createdAt: Date; readonly before: Omit<StoredState, "text"> | null },
): Omit<StoredState, "text"> {
  const { expiresAt } = change;
  return {
    ...key,
    type: row.type,
    scope: row.scope,
    version: row.version,
    step: row.step,
    phase: row.phase,
    digest: row.digest,
    createdAt: past.createdAt,
    updatedAt: row.at,
    expiresAt:
      expiresAt === null
        ? row.created
          ? null
          : (past.before?.expiresAt ?? null)
        : expiresAt === "never"
          ? null
          : expiresAt,
    deleted: false,
  };
}

function committed(unit: PreparedUnit, rows: readonly ChangeRow[], replayed: boolean): Committed {
  const [first] = rows;
  return {
    namespace: unit.namespace,
    scope: first!.scope,
    step: first!.step,
    replayed,
    changes: rows.map((row, index): Written => {
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
    }),
  };
}
