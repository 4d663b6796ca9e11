/** Numbers that look random and are the same for the same seed: a failure can be repeated. */
export function randomFrom(seed: number): (below: number) => number {
  let value = seed;
  return (below) => {
    // mulberry32
    value = (value + 0x6d2b79f5) | 0;
    let mixed = Math.imul(value ^ (value >>> 15), 1 | value);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * below);
  };
}
