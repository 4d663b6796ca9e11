import { SieveCache } from "../service/sieve-cache.ts";
import type { ChangeRow, PreparedUnit } from "../state/ports.ts";

/** Where a row lies: the number of its block times 65,536, and its place in the block. */
export type Place = number;

/** Where the row of a state lies, and that of a state which its scope's newest step changed. */
export interface KnownPlace {
  readonly place: Place;
  readonly head: Place | undefined;
}

interface Known {
  readonly place: Place;
  readonly scope: string;
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
  readonly #states: SieveCache<string, Known>;
  readonly #heads: SieveCache<string, Place>;

  constructor(entries: number) {
    const bounds = { entries, bytes: Number.POSITIVE_INFINITY };
    this.#states = new SieveCache(bounds);
    this.#heads = new SieveCache(bounds);
  }

  of(namespace: string, id: string): KnownPlace | undefined {
    const known = this.#states.get(keyOf(namespace, id));
    if (known === undefined) return undefined;
    return { place: known.place, head: this.#heads.get(known.scope) };
  }

  /** What was answered to a unit. Of a refused one, what was remembered may have been out of date. */
  note(unit: PreparedUnit, rows: readonly ChangeRow[], places: readonly (Place | null)[]): void {
    if (rows.some(({ code }) => code !== null)) return this.#forget(unit);
    let head: Place | null = null;
    for (const [index, { id }] of unit.changes.entries()) {
      const place = places[index] ?? null;
      head = place ?? head;
      const key = keyOf(unit.namespace, id);
      if (place === null) this.#states.delete(key);
      else this.#states.set(key, { place, scope: keyOf(unit.namespace, rows[index]!.scope) }, 1);
    }
    const scope = keyOf(unit.namespace, rows[0]!.scope);
    if (head === null) this.#heads.delete(scope);
    else this.#heads.set(scope, head, 1);
  }

  #forget(unit: PreparedUnit): void {
    for (const { id } of unit.changes) this.#states.delete(keyOf(unit.namespace, id));
  }
}

/** Neither holds control characters, so one can part the two. */
function keyOf(namespace: string, name: string): string {
  return namespace === "default" ? name : `${namespace}\u001f${name}`;
}
