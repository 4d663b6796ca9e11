/** Where the first of two positions of a log (`16/B374D848`) lies: before (-1), at (0) or after (1) the second. */
export function comparePositions(left: string, right: string): -1 | 0 | 1 {
  const [a, b] = [numberOf(left), numberOf(right)];
  return a < b ? -1 : a > b ? 1 : 0;
}

/** The later of the two; null is before all. */
export function laterPosition(left: string | null, right: string | null): string | null {
  if (left === null || right === null) return left ?? right;
  return left === right || comparePositions(left, right) >= 0 ? left : right;
}

function numberOf(position: string): bigint {
  const [high = "", low = ""] = position.split("/");
  return (BigInt(`0x${high}`) << 32n) + BigInt(`0x${low}`);
}
