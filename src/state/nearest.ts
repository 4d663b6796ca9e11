import { AgentRuntimeError } from "./errors.ts";
import { quote } from "./quote.ts";

/** Longer words are nobody's typing error, and comparing them would cost what they are long. */
const MAX_LENGTH = 100;

/**
 * The known word that somebody most likely meant, or undefined where none is near.
 *
 * Upper and lower case, `-` and `_` do not count: `expected_version` is near `expectedVersion`.
 */
export function nearest(word: string, known: readonly string[]): string | undefined {
  if (word.length > MAX_LENGTH) return undefined;
  const plain = plainForm(word);
  let best: string | undefined;
  let bestDistance = mistakesAllowed(plain.length) + 1;
  for (const candidate of known) {
    const distance = editDistance(plain, plainForm(candidate), bestDistance);
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

/**
 * Nothing, where the object has only fields that are known.
 *
 * @param where what the object is, as a message should name it: "the body", "changes/3".
 * @throws {AgentRuntimeError} UNKNOWN_FIELD with the field and the nearest known one.
 */
export function checkFields(object: object, known: readonly string[], where: string): void {
  for (const field of Object.keys(object)) {
    if (known.includes(field)) continue;
    const near = nearest(field, known);
    const fields = known.length === 0 ? "it takes none" : `it may have: ${known.join(", ")}`;
    const advice = near === undefined ? fields : `did you mean ${quote(near)}?`;
    throw new AgentRuntimeError(
      "UNKNOWN_FIELD",
      `${where} has an unknown field ${quote(field)}; ${advice}`,
      near === undefined ? { field } : { field, nearest: near },
    );
  }
}

function plainForm(word: string): string {
  return word.toLowerCase().replace(/[-_]/g, "");
}

function mistakesAllowed(length: number): number {
  if (length <= 2) return length - 1;
  return length <= 4 ? 1 : Math.min(4, Math.ceil(length / 4));
}

/**
 * How many letters were missed, added, changed or swapped with their neighbour (Damerau-Levenshtein
 * on adjacent swaps); `limit` where it is that many or more.
 */
function editDistance(a: string, b: string, limit: number): number {
  if (Math.abs(a.length - b.length) >= limit) return limit;
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let row = 1; row <= a.length; row++) {
    const current = [row];
    let lowest = row;
    for (let column = 1; column <= b.length; column++) {
      const same = a[row - 1] === b[column - 1];
      let cost = Math.min(
        last[column]! + 1,
        current[column - 1]! + 1,
        last[column - 1]! + (same ? 0 : 1),
      );
      const swapped = a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1];
      if (swapped) cost = Math.min(cost, beforeLast[column - 2]! + 1);
      current.push(cost);
      lowest = Math.min(lowest, cost);
    }
    // A swap reaches two rows back, so only a row that is hopeless by more than one ends the search.
    if (lowest > limit) return limit;
    beforeLast = last;
    last = current;
  }
  return Math.min(limit, last[b.length]!);
}
