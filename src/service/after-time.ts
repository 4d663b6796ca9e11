/** Node waits 1 ms where a timer is asked for more than this. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/**
 * Calls back when the time is over, after handling what arrived in the meantime: when the event loop was blocked, Node
 * runs timers before it reads sockets, so an answer that came in time would count as too late.
 *
 * @returns a function that cancels it.
 */
export function afterTime(ms: number, callBack: () => void): () => void {
  let heard: NodeJS.Immediate | undefined;
  const timer = setTimeout(() => (heard = setImmediate(callBack)), Math.min(ms, MAX_TIMER_MS));
  return () => {
    clearTimeout(timer);
    clearImmediate(heard);
  };
}
