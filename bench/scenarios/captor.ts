import { setTimeout as sleep } from "node:timers/promises";
import { percentile } from "../../src/cli/print/numbers.ts";
import { HttpStateClient } from "../../src/client/http-client.ts";
import { Cri } from "../../dev/services/cri.ts";
import type { CriPod } from "../../dev/services/cri.ts";
import type { Change } from "../../src/state/state.ts";
import type { Scenario } from "../bench.ts";
import type { Figure } from "../figure.ts";
import { spreadOf } from "../measure/statistics.ts";
import { startCaptorChain } from "../parts/captor-chain.ts";
import { ensureBuilt } from "../parts/service.ts";

/** Ends of containers in a second of a slice. */
const PER_SECOND = 15;
/** Pods that live at the same time. */
const AT_ONCE = 3;
const LIFE = ["/bin/sh", "-c", "sleep 0.3; exit 3"];
const LONG_MS = 60_000;
const REMOVALS = 50;
const AGAIN_MS = 100;

export const captor: Scenario = {
  name: "captor",
  about: "from the end of a container until the state of its pod is committed, over RocketMQ",
  run: async (bench) => {
    await ensureBuilt();
    const { containerd, url } = await startCaptorChain(bench);
    const cri = new Cri(containerd);
    const client = HttpStateClient.open({ url });
    const ends = new Ends(client);
    try {
      await livesOf(cri, ends, AT_ONCE); // so that connections and caches are warm
      const lives = Math.max(AT_ONCE, Math.round(bench.seconds * PER_SECOND));
      const { rounds } = await bench.takeTurns({ rounds: () => livesOf(cri, ends, lives) });
      return figuresOf(rounds);
    } finally {
      await ends.stop();
      await client.close();
      cri.close();
    }
  },
};

/** Milliseconds of each life of a pod, from the end of its container to the news of its state. */
async function livesOf(cri: Cri, ends: Ends, lives: number): Promise<readonly number[]> {
  const took: number[] = [];
  let next = 0;
  const live = async (): Promise<void> => {
    while (next < lives) {
      next += 1;
      const pod = await cri.runPod();
      const ended = ends.of(pod);
      await pod.run({ command: LIFE });
      took.push(await ended);
      await removeAgain(pod);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, live));
  return took;
}

/** As a kubelet does: containerd may be about to see that end itself, and then says no once. */
async function removeAgain(pod: CriPod): Promise<void> {
  for (let tries = 0; ; tries += 1) {
    try {
      await pod.remove();
      return;
    } catch (error) {
      if (tries === REMOVALS) throw error;
      await sleep(AGAIN_MS);
    }
  }
}

/** Waits for the ends of pods, by the news of the service. */
class Ends {
  readonly #over = new AbortController();
  readonly #waiting = new Map<string, (ms: number) => void>();
  readonly #watching: Promise<void>;

  constructor(client: HttpStateClient) {
    this.#watching = this.#watch(client);
  }

  of({ uid }: CriPod): Promise<number> {
    return new Promise((resolve, reject) => {
      const late = setTimeout(() => reject(new Error(`no end of pod ${uid}`)), LONG_MS);
      this.#waiting.set(`pod:${uid}`, (ms) => {
        clearTimeout(late);
        resolve(ms);
      });
    });
  }

  async stop(): Promise<void> {
    this.#over.abort();
    await this.#watching;
  }

  async #watch(client: HttpStateClient): Promise<void> {
    for await (const change of client.watch({ type: "lifecycle", signal: this.#over.signal })) {
      if (change.phase !== "failed") continue;
      const now = Date.now();
      const settle = this.#waiting.get(change.id);
      this.#waiting.delete(change.id);
      settle?.(now - endOf(change));
    }
  }
}

interface Attempt {
  readonly exit: { readonly at: string };
}

/** When containerd saw the process end. */
function endOf({ data }: Change): number {
  const { containers } = data as unknown as {
    readonly containers: readonly { readonly attempts: readonly Attempt[] }[];
  };
  return Date.parse(containers[0]!.attempts[0]!.exit.at);
}

function figuresOf(rounds: readonly (readonly number[])[]): Figure[] {
  const count = rounds.flat().length;
  const figure = (what: string, share: number, atMost: number): Figure => ({
    name: `container exit to committed state, ${what}`,
    unit: "ms",
    ours: spreadOf(rounds.map((each) => percentile(Float64Array.from(each).toSorted(), share))),
    bar: { atMost },
    notes: [
      `${count} ends, ${AT_ONCE} pods at a time; from the time that containerd says the process ended until a watcher has the committed state`,
    ],
  });
  return [figure("p50", 0.5, 100), figure("p99", 0.99, 500)];
}
