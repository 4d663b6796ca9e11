// The library in a process of its own, so that its memory can be looked at.
import { setImmediate as nextTurn } from "node:timers/promises";
import { openStateManager } from "../../src/runtime.ts";
import { KnownStates } from "../parts/library.ts";

/** What the process is told: on which database, or how many updates to make and then look. */
export type GrowthOrder =
  { readonly url: string; readonly keys: number } | { readonly updates: number };

/** What it holds after that, and what it used. */
export interface Growth {
  readonly rssMiB: number;
  readonly heapMiB: number;
  readonly cpuSeconds: number;
}

const CALLERS = 512;
const MIB = 2 ** 20;
let states: KnownStates | undefined;

process.on("message", (message) => void obey(message as GrowthOrder));
process.on("disconnect", () => process.exit());

async function obey(order: GrowthOrder): Promise<void> {
  if ("url" in order) {
    const library = await openStateManager({ supabase: { main: order.url } });
    states = await KnownStates.read(library, order.keys);
  } else {
    await update(states!, order.updates);
  }
  process.send!(await look());
}

async function update(known: KnownStates, updates: number): Promise<void> {
  let left = updates;
  const call = async (caller: number): Promise<void> => {
    while (left-- > 0) await known.update(caller, CALLERS);
  };
  await Promise.all(Array.from({ length: CALLERS }, (_, caller) => call(caller)));
}

async function look(): Promise<Growth> {
  for (let times = 0; times < 3; times++) {
    globalThis.gc!();
    await nextTurn();
  }
  const { rss, heapUsed, external } = process.memoryUsage();
  const { user, system } = process.cpuUsage();
  return {
    rssMiB: rss / MIB,
    heapMiB: (heapUsed + external) / MIB,
    cpuSeconds: (user + system) / 1e6,
  };
}
