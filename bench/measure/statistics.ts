/** Where the values of several rounds lie. */
export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
  readonly rounds: readonly number[];
}

/** The median of the rounds, and how far they lie apart; throws where there is none. */
export function spreadOf(rounds: readonly number[]): Spread {
  if (rounds.length === 0 || rounds.some((value) => !Number.isFinite(value))) {
    throw new Error(`nothing was measured: [${rounds.join(", ")}]`);
  }
  const sorted = rounds.toSorted((left, right) => left - right);
  const middle = sorted.length >> 1;
  const median =
    sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
  return { median, min: sorted[0]!, max: sorted.at(-1)!, rounds };
}

/** Round by round, one divided by the other: what disturbed a round disturbed both. */
export function ratioOf(ours: readonly number[], against: readonly number[]): Spread {
  return spreadOf(ours.map((value, round) => value / against[round]!));
}

/** The best of each round. */
export function bestOf(contenders: readonly (readonly number[])[]): number[] {
  return contenders[0]!.map((_, round) => Math.max(...contenders.map((values) => values[round]!)));
}
