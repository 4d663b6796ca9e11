// What a peer is told to do, in its argument, and how it tells what it measured: {"rate": N}, the last line that it says.
export const order = JSON.parse(process.argv[2]);

export function measured(count, from) {
  best([count / ((performance.now() - from) / 1_000)]);
}

export function best(rates) {
  console.log(JSON.stringify({ rate: Math.max(...rates) }));
  process.exit(0);
}

/** A closed loop of so many callers, the first part of it not counted. */
export async function rateOf(callers, call) {
  const { seconds } = order;
  let counts = 0;
  let isOver = false;
  const run = async (caller) => {
    while (!isOver) {
      await call(caller);
      counts++;
    }
  };
  const all = Array.from({ length: callers }, (_, caller) => run(caller));
  await new Promise((resolve) => setTimeout(resolve, 150 * seconds));
  const [before, from] = [counts, performance.now()];
  await new Promise((resolve) => setTimeout(resolve, 1_000 * seconds));
  while (counts === before) await new Promise((resolve) => setTimeout(resolve, 50)); // a slow machine
  const rate = (counts - before) / ((performance.now() - from) / 1_000);
  isOver = true;
  await Promise.all(all);
  return rate;
}
