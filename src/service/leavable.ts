/**
 * What a generator brings, to iterators that can be left while they wait. `return()` of a generator alone comes after
 * the `next()` that is under way, which may wait for ever.
 *
 * @param follow is given a signal that aborts once its reader has left.
 */
export function leavable<Item>(
  follow: (left: AbortSignal) => AsyncGenerator<Item, void, undefined>,
): AsyncIterable<Item> {
  return {
    [Symbol.asyncIterator]() {
      const left = new AbortController();
      const items = follow(left.signal);
      return {
        next: () => items.next(),
        async return() {
          left.abort();
          return await items.return();
        },
      };
    },
  };
}
