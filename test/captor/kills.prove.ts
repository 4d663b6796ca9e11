import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Cri } from "../../dev/services/cri.ts";
import type { StateManager } from "../../src/manager/state-manager.ts";
import type { State } from "../../src/state/state.ts";
import { anyHome } from "../messages/parts.ts";
import { serve } from "../server/serve.ts";
import type { Served } from "../server/serve.ts";
import { startProgram } from "../support/child.ts";
import type { Child } from "../support/child.ts";
import { describeOnContainerd } from "../support/containerd.ts";
import { openBench } from "../support/manager.ts";
import type { Bench } from "../support/manager.ts";
import { until } from "../support/until.ts";
import { NODE } from "./node.ts";
import { Absences, isOver, livePods } from "./pod-lives.ts";

const LIVES = 200;
const LONG = { timeoutMs: 120_000 };

await describeOnContainerd("the program `captor`, killed again and again", (containerd) => {
  let bench: Bench;
  let manager: StateManager;
  let served: Served;
  let folder: string;

  beforeAll(async () => {
    bench = await openBench(anyHome());
    manager = bench.openManager();
    served = await serve(manager);
    folder = mkdtempSync(join(tmpdir(), "art-captor-kills-"));
  });
  afterAll(async () => {
    await served.close();
    await bench.close();
    rmSync(folder, { recursive: true });
  });

  interface Running {
    readonly child: Child;
    readonly url: string;
  }

  /** Resolves when it has seen all that is there. */
  async function startCaptor(): Promise<Running> {
    const where = ["--captor-containerd", containerd.socket, "--captor-listen", "127.0.0.1:0"];
    const to = ["--url", served.url, "--spool", join(folder, "spool")];
    const args = ["captor", ...where, ...to, "--captor-relist-ms", "1000"];
    const child = await startProgram(args, { env: { NODE_NAME: NODE } });
    const [, url] = await child.says(/^agent_runtime captor at (\S+)$/m, LONG);
    await untilListed(url!, 0);
    return { child, url: url! };
  }

  async function untilListed(url: string, after: number): Promise<void> {
    await until(
      async () => {
        const health = await (await fetch(`${url}/healthz`)).json();
        const { isJoined, listedAt } = health as { isJoined: boolean; listedAt: string | null };
        return isJoined && listedAt !== null && Date.parse(listedAt) > after;
      },
      { what: "a listing", ...LONG },
    );
  }

  test(`${LIVES} lives of pods: each ends in the state that the facts allow, and none stays alive`, async () => {
    const cri = new Cri(containerd);
    const absences = new Absences();
    let captor = await startCaptor();
    let isDone = false;
    let kills = 0;
    let restarts = 0;
    const trouble = async (): Promise<void> => {
      for (let round = 0; !isDone; round += 1) {
        await sleep(1_000);
        kills += 1;
        await absences.during("captor", async () => {
          await captor.child.kill("SIGKILL");
          captor = await startCaptor();
        });
        if (round % 4 !== 1) continue;
        restarts += 1;
        await absences.during("containerd", async () => {
          await containerd.kill();
          await sleep(restarts === 2 ? 30_000 : 2_000);
          await containerd.start();
          await untilListed(captor.url, Date.now());
        });
      }
    };
    const living = livePods(cri, LIVES).finally(() => (isDone = true));
    const [lives] = await Promise.all([living, trouble()]);

    const read = (id: string): Promise<State | null> =>
      manager.getState(id, { consistency: "strong" }).catch(() => null);
    const states = async (): Promise<(State | null)[]> =>
      await Promise.all(lives.map(({ pod }) => read(`pod:${pod.uid}`)));
    const isSettled = async (): Promise<boolean> =>
      (await states()).every((state) => state === null || isOver(state));
    // Whoever is not over by then is told below, with all that is known of it.
    await until(isSettled, LONG).catch(() => undefined);
    const counts: Record<string, number> = {};
    const faults: string[] = [];
    for (const [at, state] of (await states()).entries()) {
      const phase = state?.phase ?? "never told";
      counts[phase] = (counts[phase] ?? 0) + 1;
      const fault = absences.faultOf(lives[at]!, state);
      if (fault !== null) faults.push(fault);
    }
    console.log(`${LIVES} lives, ${kills} kills of captor, ${restarts} of containerd:`, counts);
    expect(faults).toEqual([]);
    expect(kills).toBeGreaterThan(4);
    expect(restarts).toBeGreaterThan(1);
    // Most were seen: a captor that sees nothing would pass all of the above.
    expect((counts["failed"] ?? 0) + (counts["stopped"] ?? 0)).toBeGreaterThan(LIVES / 2);
    const alive = await manager.list({ type: "lifecycle", phase: "running" });
    expect(alive.items).toEqual([]);
    expect(await captor.child.kill("SIGTERM")).toMatchObject({ code: 0 });
    cri.close();
  }, 1_200_000);
});
