import { setMaxListeners } from "node:events";

/** Calls back once when the signal aborts; many calls may share one, which is no leak. Returns what ends that. */
export function onAbort(signal: AbortSignal | undefined, callBack: () => void): () => void {
  if (signal === undefined) return () => undefined;
  setMaxListeners(0, signal);
  signal.addEventListener("abort", callBack, { once: true });
  return () => signal.removeEventListener("abort", callBack);
}
