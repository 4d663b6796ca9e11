import { setTimeout as sleep } from "node:timers/promises";
import type { StateFace } from "../../src/state/face.ts";
import type { CallOptions } from "../../src/state/request.ts";
import { changesetOf } from "./changesets.mjs";
import type { Series } from "./changesets.d.mts";
import type { Ledger } from "./ledger.ts";

export interface LoadOptions extends CallOptions, Series {
  readonly ledger: Ledger;
  /** Who writes, each one write after the other. Several faces: writers in turn. */
  readonly faces: readonly StateFace[];
  readonly writers: number;
  /** How long each rests after a write: where the load lasts as long as a trouble does, it need not be all that there can be. */
  readonly restMs?: number;
}

export interface Load {
  /** No further writes; resolves when every one that was sent is answered. */
  stop(): Promise<void>;
}

/** A refused writer comes back after this, as Retry-After would have it but sooner. */
const PAUSE_MS = 100;

/** Readers of the database itself that go on until stopped; each is answered, or told UNAVAILABLE. */
export function startReaders(options: {
  readonly ledger: Ledger;
  readonly face: StateFace;
  readonly readers: number;
  readonly timeoutMs: number;
}): Load {
  const { ledger, face, readers, timeoutMs } = options;
  const stopping = new AbortController();
  const read = async (): Promise<void> => {
    while (!stopping.signal.aborted) {
      const done = await ledger.read(() =>
        face.getState("hot-0", { consistency: "strong", timeoutMs }),
      );
      if (!done) await sleep(PAUSE_MS);
    }
  };
  const all = Promise.all(Array.from({ length: readers }, read));
  return {
    stop: async () => {
      stopping.abort();
      await all;
    },
  };
}

/** Writers that go on until stopped: their own states, states that all share, and changesets of three. */
export function startLoad(options: LoadOptions): Load {
  const stopping = new AbortController();
  const { signal } = stopping;
  const { ledger, faces, writers, restMs = 0, ...rest } = options;
  const write = async (writer: number): Promise<void> => {
    const call = rest.timeoutMs === undefined ? {} : { timeoutMs: rest.timeoutMs };
    for (let count = 0; !signal.aborted; count += 1) {
      const changeset = changesetOf(rest, writer, count);
      const done = await ledger.write(faces[writer % faces.length]!, changeset, call);
      const pauseMs = done ? restMs : PAUSE_MS;
      if (pauseMs > 0 && !signal.aborted) await sleep(pauseMs);
    }
  };
  const all = Promise.all(Array.from({ length: writers }, (_, writer) => write(writer)));
  return {
    stop: async () => {
      stopping.abort();
      await all;
    },
  };
}
