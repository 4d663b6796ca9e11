import { setTimeout as sleep } from "node:timers/promises";
import type { StateFace } from "../../src/state/face.ts";
import type { CallOptions } from "../../src/state/request.ts";
import type { KeyedChangeset, Ledger } from "./ledger.ts";

export interface LoadOptions extends CallOptions {
  readonly ledger: Ledger;
  /** Who writes, each one write after the other. Several faces: writers in turn. */
  readonly faces: readonly StateFace[];
  readonly writers: number;
  /** Keeps the keys of several loads apart. */
  readonly name: string;
  /** Bytes that each document is filled up with; default 300. */
  readonly fillBytes?: number;
}

export interface Load {
  /** No further writes; resolves when every one that was sent is answered. */
  stop(): Promise<void>;
}

const TRIOS = 64;
const HOT_STATES = 16;
/** A refused writer comes back after this, as Retry-After would have it but sooner. */
const PAUSE_MS = 20;

/** Writers that go on until stopped: their own states, states that all share, and changesets of three. */
export function startLoad(options: LoadOptions): Load {
  let stopped = false;
  const { ledger, faces, writers, ...rest } = options;
  const write = async (writer: number): Promise<void> => {
    const call = rest.timeoutMs === undefined ? {} : { timeoutMs: rest.timeoutMs };
    for (let count = 0; !stopped; count += 1) {
      const changeset = changesetOf(rest, writer, count);
      const done = await ledger.write(faces[writer % faces.length]!, changeset, call);
      if (!done && !stopped) await sleep(PAUSE_MS);
    }
  };
  const all = Promise.all(Array.from({ length: writers }, (_, writer) => write(writer)));
  return {
    stop: async () => {
      stopped = true;
      await all;
    },
  };
}

function changesetOf(
  { name, fillBytes = 300 }: Pick<LoadOptions, "name" | "fillBytes">,
  writer: number,
  count: number,
): KeyedChangeset {
  const data = { name, writer, count, fill: fillOf(writer + count, fillBytes) };
  const update = (id: string) => ({ op: "update", id, type: "shared", data }) as const;
  const idempotencyKey = `${name}-${writer}-${count}`;
  switch (count % 4) {
    case 0: {
      const scope = `trio-${(writer + count) % TRIOS}`;
      const changes = ["a", "b", "c"].map((part) => update(`${scope}-${part}`));
      return { scope, changes, idempotencyKey };
    }
    case 1: {
      const changes = [update(`hot-${writer % HOT_STATES}`)];
      return { scope: "hot", changes, idempotencyKey };
    }
    default:
      return { scope: `own-${writer}`, changes: [update(`own-${writer}`)], idempotencyKey };
  }
}

/** Text that no compression makes small: a full disk must be reached. */
function fillOf(seed: number, bytes: number): string {
  let value = seed + 1;
  let text = "";
  while (text.length < bytes) {
    value = (value * 1_103_515_245 + 12_345) % 2_147_483_648;
    text += value.toString(36);
  }
  return text;
}
