import { setTimeout as sleep } from "node:timers/promises";
import type { Cri, CriPod } from "../../dev/services/cri.ts";
import type { State } from "../../src/state/state.ts";

/** From when until when, in milliseconds of this process. */
interface Span {
  readonly from: number;
  readonly to: number;
}

/** A pod that came, ended with a code, and was removed: from when it was there until it was there no more. */
export interface Life extends Span {
  readonly pod: CriPod;
  readonly code: number;
}

/** So ends what hears SIGTERM while it is runc's init still and not the command yet, on a busy machine. */
const BEFORE_THE_COMMAND = 2;

/** When who was away. */
export class Absences {
  readonly #captor: Span[] = [];
  readonly #containerd: Span[] = [];

  /** Somebody is away from when `act` begins until it has ended: by then all that is there was seen again. */
  async during(who: "captor" | "containerd", act: () => Promise<void>): Promise<void> {
    const from = performance.now();
    await act();
    const span = { from, to: performance.now() };
    (who === "captor" ? this.#captor : this.#containerd).push(span);
  }

  /** What is wrong with the state that a life came to; null: nothing. */
  faultOf(life: Life, state: State | null): string | null {
    const spans = [...this.#captor, ...this.#containerd];
    const name = `${life.pod.name} (code ${life.code})`;
    if (state === null) {
      return isCovered(life, spans) ? null : `${name} was never told`;
    }
    if (!isOver(state)) return `${name} is still ${state.phase}: ${JSON.stringify(state.data)}`;
    const { exitCode } = state.data as { readonly exitCode: number | null };
    const { phase } = state;
    if (phase === "unknown") {
      return spans.some((span) => meets(span, life)) ? null : `${name} is lost, and all were there`;
    }
    if (exitCode === life.code || exitCode === BEFORE_THE_COMMAND) {
      return phase === (exitCode === 0 ? "stopped" : "failed") ? null : `${name} is ${phase}`;
    }
    // Who has no process any more after a crash of containerd has its code no more.
    const isForgotten = this.#containerd.some((span) => meets(span, life));
    const isNoCode = [137, 255, null].includes(exitCode);
    if (isForgotten && isNoCode) return null;
    return `${name} is ${phase} with ${exitCode}: ${JSON.stringify(state.data)}`;
  }
}

/** Whether the state of a pod says that it is over. */
export function isOver({ phase }: State): boolean {
  return ["stopped", "failed", "unknown"].includes(phase ?? "");
}

/** Pods that live, four at a time, whatever happens to their runtime meanwhile. */
export async function livePods(cri: Cri, count: number): Promise<readonly Life[]> {
  const lives: Life[] = [];
  const live = async (first: number): Promise<void> => {
    for (let at = first; at < count; at += 4) {
      const code = at % 7;
      const pod = await again(() => cri.runPod({ name: `agent-${at}` }));
      const from = performance.now();
      // As the first process of its namespace it hears no SIGTERM, so it ends with its own code.
      const command = ["/bin/sh", "-c", `sleep 0.4; exit ${code}`];
      let attempt = 0;
      const id = await again(() => pod.run({ command, attempt: attempt++ }));
      await again(() => pod.stop(id, 30));
      await again(() => pod.remove());
      lives.push({ pod, code, from, to: performance.now() });
    }
  };
  await Promise.all([0, 1, 2, 3].map(live));
  return lives;
}

/** Whether of all that time somebody was away. */
function isCovered(life: Span, spans: readonly Span[]): boolean {
  let until = life.from;
  for (const { from, to } of spans.toSorted((a, b) => a.from - b.from)) {
    if (from <= until) until = Math.max(until, to);
  }
  return until >= life.to;
}

function meets(one: Span, other: Span): boolean {
  return one.from <= other.to && other.from <= one.to;
}

/** A kubelet asks again where the runtime was away. */
async function again<Value>(act: () => Promise<Value>): Promise<Value> {
  let last: unknown;
  for (let tries = 0; tries < 120; tries += 1) {
    try {
      return await act();
    } catch (error) {
      last = error;
      await sleep(500);
    }
  }
  throw new Error("containerd did not do it in the end", { cause: last });
}
