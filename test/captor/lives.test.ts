import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Beliefs } from "../../src/captor/beliefs.ts";
import type { CaptorOptions } from "../../src/captor/captor.ts";
import type { StateManager } from "../../src/manager/state-manager.ts";
import type { State } from "../../src/state/state.ts";
import { anyHome } from "../messages/parts.ts";
import { describeOnContainerd } from "../support/containerd.ts";
import { Cri } from "../../dev/services/cri.ts";
import type { CriPod } from "../../dev/services/cri.ts";
import { openBench } from "../support/manager.ts";
import type { Bench } from "../support/manager.ts";
import { until } from "../support/until.ts";
import { NODE, listen } from "./node.ts";
import type { Listening } from "./node.ts";
import { Absences, isOver, livePods } from "./pod-lives.ts";

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

  async function hasLostItsSandbox(pod: CriPod): Promise<boolean> {
    const { sandbox } = (await stateOf(pod)).data as {
      readonly sandbox: { readonly attempts: readonly { readonly removed: string | null }[] };
    };
    return sandbox.attempts.some(({ removed }) => removed !== null);
  }

  test("what was removed while nobody looked does not stay alive", async () => {
    const first = listen(containerd, options);
    const [goes, halfGoes, ends, stays] = [
      await cri.runPod(),
      await cri.runPod(),
      await cri.runPod(),
      await cri.runPod(),
    ] as const;
    for (const pod of [goes, halfGoes, ends, stays]) {
      await pod.run({ command: SERVE });
      await untilIn(pod, "running");
    }
    await first.stop();
    await goes.remove();
    await halfGoes.removeContainers();
    await ends.stopSandbox();
    await ends.removeContainers(); // of its sandbox the end is there to be listed
    const second = listen(containerd, options);
    for (const pod of [goes, halfGoes, ends]) {
      expect(await untilIn(pod, "unknown")).toMatchObject({ data: { reason: "Lost" } });
    }
    // That its sandbox is over now, too, is no news of how it ended.
    await halfGoes.remove();
    await until(() => hasLostItsSandbox(halfGoes), { what: "the end of its sandbox" });
    expect(await stateOf(halfGoes)).toMatchObject({ phase: "unknown", data: { reason: "Lost" } });
    expect(await stateOf(stays)).toMatchObject({ phase: "running" });
    await ends.remove();
    await stays.remove();
    // Its grace is over at once, so its process is killed: the runtime saw no wish to stop it.
    await untilIn(stays, "failed", "stopped");
    await second.stop();
  });

  test("lives of pods while captor and containerd come and go: each ends as the facts allow", async () => {
    let listening = listen(containerd, options);
    const absences = new Absences();
    let isDone = false;
    const trouble = async (): Promise<void> => {
      for (let round = 0; !isDone; round += 1) {
        await sleep(700);
        await absences.during("captor", async () => {
          listening = await replace(listening);
        });
        if (round % 4 !== 1) continue;
        await absences.during("containerd", async () => {
          await containerd.kill();
          await sleep(500);
          await containerd.start();
          await untilListed(listening);
        });
      }
    };
    const living = livePods(cri, 8).finally(() => (isDone = true));
    const [lives] = await Promise.all([living, trouble()]);
    const faults: (string | null)[] = [];
    for (const life of lives) {
      const read = (): Promise<State | null> => stateOf(life.pod).catch(() => null);
      const settled = async (): Promise<boolean> => {
        const found = await read();
        return found === null || isOver(found);
      };
      await until(settled, { what: `an end of ${life.pod.name}` });
      faults.push(absences.faultOf(life, await read()));
    }
    expect(faults).toEqual(Array(8).fill(null));
    await listening.stop();
  });

  async function replace(listening: Listening): Promise<Listening> {
    await listening.stop();
    const next = listen(containerd, options);
    await untilListed(next);
    return next;
  }

  /** Resolves when it has listed the node once more from now on. */
  async function untilListed({ captor: { figures } }: Listening): Promise<void> {
    const now = Date.now();
    await until(() => figures.isJoined && figures.listedAtMs > now, { what: "a listing" });
  }
});
