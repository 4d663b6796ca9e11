/** Numbers from 1 to `count`, the n-th as likely as 1/n: Zipf's distribution with exponent 1. */
export function zipf(count: number): () => number {
  const upTo = new Float64Array(count);
  let sum = 0;
  for (let index = 0; index < count; index++) {
    sum += 1 / (index + 1);
    upTo[index] = sum;
  }
  return () => firstAbove(upTo, Math.random() * sum) + 1;
}

function firstAbove(values: Float64Array, wanted: number): number {
  let [low, high] = [0, values.length - 1];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (values[middle]! <= wanted) low = middle + 1;
    else high = middle;
  }
  return low;
}
