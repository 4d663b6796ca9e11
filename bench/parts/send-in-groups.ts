import { setMaxListeners } from "node:events";

/**
 * Sends the items of each group one after the other, of so many groups side by side. The first failure
 * ends it: what is under way is waited for, nothing else begins.
 */
export async function sendInGroups<Item>(
  groups: readonly (readonly Item[])[],
  options: { readonly concurrency: number; readonly signal: AbortSignal },
  send: (item: Item, ended: AbortSignal) => Promise<void>,
): Promise<void> {
  setMaxListeners(0, options.signal); // Each send that is under way listens for the end.
  const waiting = groups.values();
  let failure: { readonly error: unknown } | undefined;
  const work = async (): Promise<void> => {
    for (const group of waiting) {
      for (const item of group) {
        if (failure !== undefined) return;
        try {
          options.signal.throwIfAborted();
          await send(item, options.signal);
        } catch (error) {
          failure ??= { error };
          return;
        }
      }
    }
  };
  const workers = Math.min(options.concurrency, groups.length);
  await Promise.all(Array.from({ length: workers }, work));
  if (failure !== undefined) throw failure.error;
}
