import type { CopyDigest, MemoryCopy } from "../state/fsck-ports.ts";
import type { Directory } from "./directory.ts";
import type { StateCache } from "./state-cache.ts";

/** This process's memory as the detector sees it: states, the next ones each time. */
export function memoryCopyOf(cache: StateCache, directory: Directory): MemoryCopy {
  let heads = cache.heads();
  return {
    sample: (limit, scope) => {
      const found: CopyDigest[] = [];
      const from = scope === undefined ? heads : cache.heads();
      for (let looked = 0; looked < limit; looked += 1) {
        const next = from.next();
        if (next.done === true) {
          if (scope === undefined) heads = cache.heads();
          break;
        }
        const { value: head } = next;
        if (
          scope !== undefined &&
          (head.scope !== scope.scope || head.namespace !== scope.namespace)
        )
          continue;
        const { namespace, id, version, step, phase, digest } = head;
        found.push({ namespace, scope: head.scope, id, version, step, phase, digest });
      }
      return found;
    },
    forget: (key) => {
      cache.forget(key);
      directory.forget(key);
    },
  };
}
