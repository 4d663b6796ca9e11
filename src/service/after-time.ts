/** Node waits 1 ms where a timer is asked for more than this. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/**
 * Calls back once the time is over, and what came meanwhile is heard: after a turn in which the event loop stood
 * still, timers are run before what lies in the sockets, so that an answer that came in time would be too late.
 *
 * @returns what calls it off.
 */
export function afterTime(ms: number, callBack: () => void): () => void {
  let heard: NodeJS.Immediate | undefined;
  const timer = setTimeout(() => (heard = setImmediate(callBack)), Math.min(ms, MAX_TIMER_MS));
  return () => {
    clearTimeout(timer);
    clearImmediate(heard);
  };
}
