import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { HttpStateClient } from "../../src/client/http-client.ts";
import { startProgram, startService } from "../support/child.ts";
import type { Child } from "../support/child.ts";
import { until } from "../support/until.ts";
import type { ClusterApi } from "./cluster-api.ts";
import { NODE } from "./cluster.ts";
import { describeOnCluster } from "./on-cluster.ts";
import { makeReflectorAccount } from "./role.ts";

const PODS = 5_000;
const SIDE_BY_SIDE = 24;
const MAX_MEGABYTES = 150;
const MIN_EVENTS_A_SECOND = 500;
const LONG_MS = 600_000;

await describeOnCluster("thousands of pods", (cluster) => {
  const folder = mkdtempSync(path.join(tmpdir(), "art-thousands-"));
  let api: ClusterApi;
  let pods: string;
  let client: HttpStateClient;
  let service: Child;
  let reflector: Child;
  let status: string;

  beforeAll(async () => {
    api = await cluster.api();
    const { namespace, token } = await makeReflectorAccount(api);
    pods = `/api/v1/namespaces/${namespace}/pods`;
    const started = await startService([], { cwd: folder, timeoutMs: 120_000 });
    service = started.child;
    client = HttpStateClient.open({ url: started.url });
    const tokenFile = path.join(folder, "token");
    writeFileSync(tokenFile, token);
    const at = ["--server", cluster.server.href, "--ca-file", cluster.authorityFile];
    const who = ["--token-file", tokenFile, "--listen", "127.0.0.1:0"];
    const to = ["--url", started.url, "--spool", path.join(folder, "spool")];
    reflector = await startProgram(["reflector", ...at, ...who, ...to], {
      cwd: folder,
      // As docs/kubernetes.md has it.
      env: { NODE_OPTIONS: "--max-semi-space-size=2" },
    });
    const [, said] = await reflector.says(/reflector at (\S+)/);
    status = said!;
  });

  afterAll(async () => {
    await client.close();
    await Promise.all([reflector.kill(), service.kill("SIGTERM")]);
    rmSync(folder, { recursive: true, force: true });
  });

  const figures = async (): Promise<Record<string, number>> =>
    (await (await fetch(`${status}/healthz`)).json()) as Record<string, number>;

  const inPhase = async (phase: string): Promise<number> => {
    let count = 0;
    let after: string | undefined;
    do {
      const page = await client.list({
        type: "lifecycle",
        phase,
        limit: 500,
        consistency: "strong",
        ...(after === undefined ? {} : { after }),
      });
      count += page.items.length;
      after = page.next;
    } while (after !== undefined);
    return count;
  };

  const untilAll = (phase: string): Promise<unknown> =>
    until(async () => (await inPhase(phase)) === PODS, {
      what: `${PODS} pods ${phase}`,
      timeoutMs: LONG_MS,
    });

  const create = async (): Promise<void> => {
    const next = Array.from({ length: PODS }, (_, n) => `agent-${n}`).values();
    const work = async (): Promise<void> => {
      for (const name of next) {
        await api.make(pods, {
          metadata: { name, labels: { "agentruntime.dev/agent": name } },
          spec: { nodeName: NODE, containers: [{ name: "main", image: "agent" }] },
        });
      }
    };
    await Promise.all(Array.from({ length: SIDE_BY_SIDE }, work));
  };

  const left = async (): Promise<number> => {
    const { items, metadata } = await api.ask<{
      readonly items: readonly unknown[];
      readonly metadata: { readonly remainingItemCount?: number };
    }>("GET", `${pods}?limit=1`);
    return items.length + (metadata.remainingItemCount ?? 0);
  };

  test(
    `${PODS} pods are created, run and go; each is told, in ${MAX_MEGABYTES} MB`,
    async () => {
      const began = performance.now();
      await create();
      const made = performance.now();
      await untilAll("running");
      const ran = performance.now();
      const whileLive = await figures();
      expect(whileLive).toMatchObject({ pods: PODS, lists: 1 });

      // What it can do alone: it stands still while all pods go, and reads that afterwards.
      process.kill(reflector.pid, "SIGSTOP");
      await api.ask("DELETE", pods);
      await until(async () => (await left()) === 0, { what: "no pod", timeoutMs: LONG_MS });
      process.kill(reflector.pid, "SIGCONT");
      const wakes = performance.now();
      const quiet = await until(async () => ((await figures())["pods"] === 0 ? figures() : null), {
        what: "all that went",
        timeoutMs: LONG_MS,
      });
      const seconds = (performance.now() - wakes) / 1000;
      const events = quiet["events"]! - whileLive["events"]!;
      await untilAll("deleted");
      const told = performance.now();

      const megabytes = peakMegabytes(reflector.pid);
      const rate = Math.round(events / seconds);
      console.log(
        `${PODS} pods made in ${tenths(began, made)} s, running in ${tenths(made, ran)} s more, ` +
          `deleted in the store ${tenths(wakes, told)} s after it woke; ` +
          `${events} events in ${seconds.toFixed(1)} s: ${rate}/s; ` +
          `${megabytes.toFixed(0)} MB at most; ${quiet["lists"]} lists, ${quiet["watches"]} watches`,
      );
      for (const phase of ["requested", "pending", "creating", "running", "stopping", "failed"]) {
        expect(await inPhase(phase)).toBe(0);
      }
      expect(events).toBeGreaterThanOrEqual(PODS);
      expect(rate).toBeGreaterThanOrEqual(MIN_EVENTS_A_SECOND);
      expect(megabytes).toBeLessThanOrEqual(MAX_MEGABYTES);
    },
    LONG_MS * 2,
  );
});

function tenths(from: number, to: number): string {
  return ((to - from) / 1000).toFixed(1);
}

/** The most memory that a process ever had. */
function peakMegabytes(pid: number): number {
  const [, kilobytes] = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))!;
  return Number(kilobytes) / 1024;
}
