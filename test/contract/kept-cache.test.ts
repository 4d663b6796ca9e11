import fc from "fast-check";
import { Directory } from "../../src/manager/directory.ts";
import { StateCache } from "../../src/manager/state-cache.ts";
import { keptCacheContract } from "./kept-cache.ts";
import type { KeptCache } from "./kept-cache.ts";

/** An entry's text is the document here, and its time that of the state; what is settled nobody asks in the process itself. */
const SETTLED = 1;
const NAMESPACE = "contract";

// Its directory is what the process was told: it judges by version alone.
keptCacheContract("of one process", () => Promise.resolve(inProcess()), fc.constant(SETTLED));

function inProcess(): KeptCache {
  const cache = new StateCache({ entries: 1_000, bytes: 1024 * 1024 }, new Directory());
  return {
    get: async (keys) => {
      const answers = keys.map(async (id) => {
        const state = await cache.answer(NAMESPACE, id);
        if (state === undefined) return undefined;
        return { version: state.version, settled: SETTLED, text: state.data as string };
      });
      return await Promise.all(answers);
    },
    put: (id, { version, text }, ttlMs) => {
      const expiresAt = new Date(Date.now() + ttlMs);
      const dates = { createdAt: new Date(0), updatedAt: new Date(0), expiresAt };
      const about = { type: "note", scope: "contract", step: version, phase: null, digest: "" };
      const head = { namespace: NAMESPACE, id, version, ...about, ...dates };
      cache.putText(head, JSON.stringify(text));
    },
  };
}
