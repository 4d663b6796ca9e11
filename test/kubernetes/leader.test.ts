import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import type { StateManager } from "../../src/manager/state-manager.ts";
import type { PodObject } from "../../src/reflector/pod-object.ts";
import { serve } from "../server/serve.ts";
import type { Served } from "../server/serve.ts";
import { startProgram } from "../support/child.ts";
import type { Child } from "../support/child.ts";
import { describeOnHomes, testHomes } from "../support/homes.ts";
import { openBench } from "../support/manager.ts";
import type { Bench } from "../support/manager.ts";
import { until } from "../support/until.ts";
import { FaultyApiServer } from "./faulty-api-server.ts";
import { inState, newPod, scheduled, second, terminated } from "./pods.ts";

const LEASE_MS = 2_000;
const LONG = { timeoutMs: 60_000 };

interface Replica {
  readonly child: Child;
  figures(): Promise<Readonly<Record<string, number | boolean>>>;
  isReady(): Promise<boolean>;
}

// Who leads is decided by the tasks, which are tested on each.
const [direct] = testHomes();

describeOnHomes(
  "reflectors of which one leads",
  (home) => {
    let bench: Bench;
    let manager: StateManager;
    let served: Served;
    let folder: string;

    beforeAll(async () => {
      folder = mkdtempSync(path.join(tmpdir(), "art-leader-"));
      bench = await openBench(home);
      manager = bench.openManager({ tasks: { leaseMs: LEASE_MS } });
      served = await serve(manager);
    });
    afterAll(async () => {
      await served.close();
      await bench.close();
      rmSync(folder, { recursive: true, force: true });
    });

    async function startApi(): Promise<{ readonly api: FaultyApiServer; readonly url: string }> {
      const api = new FaultyApiServer();
      const { origin } = await api.start();
      onTestFinished(() => api.stop());
      return { api, url: origin };
    }

    async function startReplica(name: string, lead: string, apiUrl: string): Promise<Replica> {
      const where = ["--server", apiUrl, "--url", served.url, "--listen", "127.0.0.1:0"];
      const spool = ["--spool", path.join(folder, `${lead}-${name}`)];
      const child = await startProgram(["reflector", ...where, ...spool, "--lead", lead], {
        cwd: folder,
      });
      onTestFinished(async () => void (await child.kill()));
      const [, at] = await child.says(/reflector at (\S+)/, LONG);
      return {
        child,
        figures: async () =>
          (await (await fetch(`${at}/healthz`)).json()) as Record<string, number | boolean>,
        isReady: async () => (await fetch(`${at}/readyz`)).ok,
      };
    }

    /** Two of them: the one that leads, and the one that stands by. */
    async function startTwo(
      lead: string,
      { api, url }: { readonly api: FaultyApiServer; readonly url: string },
    ): Promise<readonly [Replica, Replica]> {
      const leader = await startReplica("a", lead, url);
      await untilLeads(leader);
      const other = await startReplica("b", lead, url);
      await until(() => other.isReady(), { what: "one that stands by", ...LONG });
      expect(await other.figures()).toMatchObject({ leads: false, lists: 0, watches: 0 });
      expect(api.watches).toBe(1);
      return [leader, other];
    }

    const untilLeads = (replica: Replica): Promise<unknown> =>
      until(
        async () => {
          const { leads, watches } = await replica.figures();
          return leads && watches !== 0;
        },
        { what: "a leader", ...LONG },
      );

    const stateOf = (uid: string): ReturnType<StateManager["getState"]> =>
      manager.getState(`pod:${uid}`, { consistency: "strong" });

    const untilPhase = (uid: string, phase: string): Promise<unknown> =>
      until(async () => (await stateOf(uid)).phase === phase, { what: `${uid} ${phase}`, ...LONG });

    const running = (name: string): PodObject =>
      inState(scheduled(newPod(name, `uid-${name}`, 0), 1), { running: { startedAt: second(2) } });

    test("one that is frozen loses the lead, and what it tells afterwards changes nothing", async () => {
      const { api, url } = await startApi();
      const [frozen, heir] = await startTwo("frozen", { api, url });
      const first = await frozen.figures();
      api.put(running("a"));
      await untilPhase("uid-a", "running");

      process.kill(frozen.child.pid, "SIGSTOP");
      // It has that in its socket, and tells it when it goes on.
      api.put(running("b"));
      const failed = terminated(3, { from: 2, to: 5 });
      const ended = inState(running("a"), failed, { phase: "Failed" });
      api.put(ended);
      await untilLeads(heir);
      const second = await heir.figures();
      expect(second["epoch"]).toBeGreaterThan(Number(first["epoch"]));
      await untilPhase("uid-b", "running");
      api.delete(ended.metadata);
      await untilPhase("uid-a", "deleted");
      const before = await Promise.all(["uid-a", "uid-b"].map(stateOf));

      process.kill(frozen.child.pid, "SIGCONT");
      const late = await until(
        async () => {
          const now = await frozen.figures();
          return now["leads"] === false && now["waiting"] === 0 ? now : null;
        },
        { what: "one that leads no more", ...LONG },
      );
      expect(late["facts"]).toBeGreaterThan(Number(first["facts"]));
      expect(api.watches).toBe(1);
      const after = await Promise.all(["uid-a", "uid-b"].map(stateOf));
      const standing = (states: typeof after): unknown =>
        states.map(({ phase, version }) => ({ phase, version }));
      expect(standing(after)).toEqual(standing(before));
    });

    test("who ends gives the lead away at once; who is killed, when its lease is over", async () => {
      const { api, url } = await startApi();
      const [leader, other] = await startTwo("ended", { api, url });
      await leader.child.kill("SIGTERM");
      await untilLeads(other);
      const next = await startReplica("c", "ended", url);
      await until(() => next.isReady(), LONG);
      await other.child.kill();
      await untilLeads(next);
      api.put(running("c"));
      await untilPhase("uid-c", "running");
    });
  },
  [direct!],
);
