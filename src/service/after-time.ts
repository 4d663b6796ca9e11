/**
 * Calls back once the time is over, and what came meanwhile is heard: after a turn in which the event loop stood
 * still, timers are run before what lies in the sockets, so that an answer that came in time would be too late.
 *
 * @returns what calls it off.
 */
export function afterTime(ms: number, callBack: () => void): () => void {
  let heard: NodeJS.Immediate | undefined;
  const timer = setTimeout(() => (heard = setImmediate(callBack)), ms);
  return () => {
    clearTimeout(timer);
    clearImmediate(heard);
  };
}
