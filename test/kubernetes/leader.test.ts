import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import type { StateManager } from "../../src/manager/state-manager.ts";
import type { PodObject } from "../../src/reflector/pod-object.ts";
import { runProgram } from "../../src/cli/program.ts";
import { FakeTerminal } from "../cli/fake-terminal.ts";
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

// A busy machine may keep who leads waiting for seconds.
const LEASE_MS = 6_000;
const LONG = { timeoutMs: 60_000 };

interface Replica {
  figures(): Promise<Readonly<Record<string, number | boolean>>>;
  isReady(): Promise<boolean>;
}

interface Where {
  readonly api: FaultyApiServer;
  readonly url: string;
  /** The address of the service that says who leads. */
  readonly service: string;
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

    async function startApi(): Promise<Where> {
      const api = new FaultyApiServer();
      const { origin } = await api.start();
      onTestFinished(() => api.stop());
      return { api, url: origin, service: served.url };
    }

    function argsOf(name: string, lead: string, { url, service }: Where): string[] {
      const where = ["--server", url, "--url", service, "--listen", "127.0.0.1:0"];
      return [
        "reflector",
        ...where,
        "--spool",
        path.join(folder, `${lead}-${name}`),
        "--lead",
        lead,
      ];
    }

    function replicaAt(at: string): Replica {
      return {
        figures: async () =>
          (await (await fetch(`${at}/healthz`)).json()) as Record<string, number | boolean>,
        isReady: async () => (await fetch(`${at}/readyz`)).ok,
      };
    }

    /** One in a process of its own, that may be frozen and killed; it leads. */
    async function startLeader(
      name: string,
      lead: string,
      where: Where,
    ): Promise<Replica & { readonly child: Child }> {
      const child = await startProgram(argsOf(name, lead, where), { cwd: folder });
      onTestFinished(async () => void (await child.kill()));
      const [, at] = await child.says(/reflector at (\S+)/, LONG);
      const leader = { ...replicaAt(at!), child };
      await untilLeads(leader);
      return leader;
    }

    async function startInProcess(
      name: string,
      lead: string,
      where: Where,
    ): Promise<Replica & { readonly end: () => Promise<number> }> {
      const terminal = new FakeTerminal({ cwd: folder });
      const ended = runProgram(argsOf(name, lead, where), terminal);
      const end = (): Promise<number> => {
        terminal.interrupt();
        return ended;
      };
      onTestFinished(async () => void (await end()));
      const said = /reflector at (\S+)/;
      const at = await until(() => said.exec(terminal.stdout.text)?.[1], LONG);
      return { ...replicaAt(at), end };
    }

    /** One that stands by. */
    async function startHeir(name: string, lead: string, where: Where): Promise<Replica> {
      const heir = await startInProcess(name, lead, where);
      await until(() => heir.isReady(), { what: "one that stands by", ...LONG });
      expect(await heir.figures()).toMatchObject({ leads: false, lists: 0, watches: 0 });
      expect(where.api.watches).toBe(1);
      return heir;
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
      const where = await startApi();
      const { api } = where;
      const frozen = await startLeader("a", "frozen", where);
      const heir = await startHeir("b", "frozen", where);
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

    test("of who is killed the lead is taken when its lease is over", async () => {
      const where = await startApi();
      const killed = await startLeader("a", "killed", where);
      const heir = await startHeir("b", "killed", where);
      await killed.child.kill();
      await untilLeads(heir);
      where.api.put(running("c"));
      await untilPhase("uid-c", "running");
    });

    test("who ends gives the lead away: nobody waits for its lease", async () => {
      const patient = await serve(bench.openManager({ tasks: { leaseMs: 10 * LONG.timeoutMs } }));
      onTestFinished(() => patient.close());
      const where = { ...(await startApi()), service: patient.url };
      const ends = await startInProcess("a", "ended", where);
      await untilLeads(ends);
      const heir = await startHeir("b", "ended", where);
      expect(await ends.end()).toBe(0);
      await untilLeads(heir);
    });
  },
  [direct!],
);
