import { SieveCache } from "../service/sieve-cache.ts";
import type { ChangeRow, PreparedUnit } from "../state/ports.ts";

/** Where a row lies: the number of its block times 65,536, and its place in the block. */
export type Place = number;

/** Where the row lies of a state that its scope's newest step changed. */
interface KnownHead {
  place: Place | undefined;
}

/** Where the row of a state lies, and the head of its scope. */
export interface KnownPlace {
  place: Place;
  /** One for all states of the scope, so that a commit moves it for all of them. */
  readonly head: KnownHead;
}

/** `(block,offset)`, as PostgreSQL writes a `tid`. */
export function parsePlace(text: string): Place {
  const comma = text.indexOf(",");
  return Number(text.slice(1, comma)) * 65_536 + Number(text.slice(comma + 1, -1));
}

/** `(block,offset)` again. */
export function formatPlace(place: Place): string {
  return `(${Math.floor(place / 65_536)},${place % 65_536})`;
}

/**
 * What commits answered of where rows lie, so that the next one need not search. It may be out of
 * date, as other processes write too: the statement that writes proves it.
 */
export class Places {
  readonly #states: SieveCache<string, KnownPlace>;
  readonly #heads: SieveCache<string, KnownHead>;

  constructor(entries: number) {
    const bounds = { entries, bytes: Number.POSITIVE_INFINITY };
    this.#states = new SieveCache(bounds);
    this.#heads = new SieveCache(bounds);
  }

  of(namespace: string, id: string): KnownPlace | undefined {
    return this.#states.get(keyOf(namespace, id));
  }

  /** What was answered to a unit. Of a refused one, what was remembered may have been out of date. */
  note(unit: PreparedUnit, rows: readonly ChangeRow[], places: readonly (Place | null)[]): void {
    if (rows.some(({ code }) => code !== null)) return this.#forget(unit);
    let head: KnownHead | undefined;
    let newest: Place | undefined;
    for (const [index, { id }] of unit.changes.entries()) {
      const place = places[index] ?? null;
      const key = keyOf(unit.namespace, id);
      const known = this.#states.peek(key);
      head ??= known?.head ?? this.#headOf(keyOf(unit.namespace, rows[0]!.scope));
      newest = place ?? newest;
      if (place === null) this.#states.delete(key);
      else if (known === undefined) this.#states.set(key, { place, head }, 1);
      else known.place = place;
    }
    head!.place = newest;
  }

  #headOf(scope: string): KnownHead {
    let head = this.#heads.get(scope);
    if (head === undefined) this.#heads.set(scope, (head = { place: undefined }), 1);
    return head;
  }

  #forget(unit: PreparedUnit): void {
    for (const { id } of unit.changes) this.#states.delete(keyOf(unit.namespace, id));
  }
}

/** Neither holds control characters, so one can part the two. */
function keyOf(namespace: string, name: string): string {
  return namespace === "default" ? name : `${namespace}\u001f${name}`;
}
