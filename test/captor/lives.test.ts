import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Beliefs } from "../../src/captor/beliefs.ts";
import type { CaptorOptions } from "../../src/captor/captor.ts";
import type { StateManager } from "../../src/manager/state-manager.ts";
import type { JsonObject } from "../../src/state/json.ts";
import type { State } from "../../src/state/state.ts";
import { anyHome } from "../messages/parts.ts";
import { describeOnContainerd } from "../support/containerd.ts";
import { Cri } from "../support/cri.ts";
import type { CriPod } from "../support/cri.ts";
import { proofLength } from "../support/length.ts";
import { openBench } from "../support/manager.ts";
import type { Bench } from "../support/manager.ts";
import { until } from "../support/until.ts";
import { NODE, listen } from "./node.ts";
import type { Listening } from "./node.ts";

const SERVE = ["/bin/sh", "-c", "trap 'exit 3' TERM; while :; do sleep 0.05; done"];

await describeOnContainerd("a captor that tells the state manager", (containerd) => {
  let bench: Bench;
  let manager: StateManager;
  let cri: Cri;
  let options: Partial<CaptorOptions>;

  beforeAll(async () => {
    bench = await openBench(anyHome());
    manager = bench.openManager();
    cri = new Cri(containerd);
    options = {
      sink: { publish: (facts) => manager.lifecycle.publish(facts) },
      beliefs: new Beliefs(manager, NODE),
      relistMs: 1_000,
    };
  });
  afterAll(async () => {
    cri.close();
    await bench.close();
  });

  const stateOf = (pod: CriPod): Promise<State> =>
    manager.getState(`pod:${pod.uid}`, { consistency: "strong" });
  const untilIn = (pod: CriPod, ...phases: readonly string[]): Promise<State> =>
    until(
      async () => {
        const state = await stateOf(pod);
        return phases.includes(state.phase ?? "") ? state : null;
      },
      { what: `pod ${pod.uid} ${phases.join(" or ")}` },
    );

  test("what was removed while nobody looked does not stay alive", async () => {
    const first = listen(containerd, options);
    const [goes, stays] = [await cri.runPod(), await cri.runPod()];
    for (const pod of [goes, stays]) await pod.run({ command: SERVE });
    await untilIn(goes, "running");
    await untilIn(stays, "running");
    await first.stop();
    await goes.remove();
    const second = listen(containerd, options);
    expect(await untilIn(goes, "unknown")).toMatchObject({ data: { reason: "Lost" } });
    expect(await stateOf(stays)).toMatchObject({ phase: "running" });
    await stays.remove();
    // Its grace is over at once, so its process is killed: the runtime saw no wish to stop it.
    await untilIn(stays, "failed", "stopped");
    await second.stop();
  });

  test("lives of pods over kills of captor and containerd: none stays alive, no code is wrong", async () => {
    const lives = proofLength({ short: 8, full: 200 });
    let listening = listen(containerd, options);
    const ended: { readonly pod: CriPod; readonly code: number }[] = [];
    let isDone = false;
    const live = async (first: number): Promise<void> => {
      for (let at = first; at < lives; at += 4) {
        const code = at % 7;
        const pod = await again(() => cri.runPod({ name: `agent-${at}` }));
        const command = ["/bin/sh", "-c", `sleep 0.5; exit ${code}`];
        let attempt = 0;
        await again(() => pod.run({ command, attempt: attempt++ }));
        await sleep(700);
        await again(() => pod.remove());
        ended.push({ pod, code });
      }
    };
    const trouble = async (): Promise<void> => {
      for (let round = 0; !isDone; round += 1) {
        await sleep(700);
        listening = await replace(listening);
        if (round % 4 !== 1) continue;
        await containerd.kill();
        await sleep(proofLength({ short: 500, full: round === 1 ? 30_000 : 2_000 }));
        await containerd.start();
      }
    };
    const all = Promise.all([0, 1, 2, 3].map(live)).finally(() => (isDone = true));
    await Promise.all([all, trouble()]);

    const seen = { known: 0, lost: 0, never: 0 };
    for (const { pod, code } of ended) {
      const state = await until(
        async () => {
          const found = await stateOf(pod).catch(() => null);
          if (found === null) return "never";
          const isOver = ["stopped", "failed", "unknown"].includes(found.phase ?? "");
          return isOver ? found : null;
        },
        { what: `an end of ${pod.name}` },
      );
      if (state === "never") seen.never += 1;
      else if (state.phase === "unknown") seen.lost += 1;
      else {
        seen.known += 1;
        const { exitCode } = state.data as JsonObject;
        // Who has no process any more after a crash of containerd is 255; who was removed too early was killed.
        expect([code, 137, 255, null]).toContain(exitCode);
      }
    }
    expect(seen.known).toBeGreaterThan(0);
    await listening.stop();
  });

  async function replace(listening: Listening): Promise<Listening> {
    await listening.stop();
    return listen(containerd, options);
  }
});

/** A kubelet asks again where the runtime was away. */
async function again<Value>(act: () => Promise<Value>): Promise<Value> {
  let last: unknown;
  for (let tries = 0; tries < 60; tries += 1) {
    try {
      return await act();
    } catch (error) {
      last = error;
      await sleep(500);
    }
  }
  throw new Error("containerd did not do it in the end", { cause: last });
}
