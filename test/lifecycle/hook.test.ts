import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { HttpStateClient } from "../../src/client/http-client.ts";
import type { StateManager } from "../../src/manager/state-manager.ts";
import type { AgentStates } from "../../src/processor/agent-drain.ts";
import { Processors } from "../../src/processor/processors.ts";
import { parseFact } from "../../src/state/lifecycle-fact.ts";
import { anyHome } from "../messages/parts.ts";
import { serve } from "../server/serve.ts";
import type { Served } from "../server/serve.ts";
import { runProgram, startProgram } from "../support/child.ts";
import type { Child } from "../support/child.ts";
import { openBench } from "../support/manager.ts";
import type { Bench } from "../support/manager.ts";
import { until } from "../support/until.ts";

const LONG = { timeoutMs: 120_000 };
/** Nobody listens there. */
const NOWHERE = "http://127.0.0.1:9";

let bench: Bench;
let manager: StateManager;
let served: Served;

beforeAll(async () => {
  bench = await openBench(anyHome());
  manager = bench.openManager();
  served = await serve(manager);
});

afterAll(async () => {
  await served.close();
  await bench.close();
});

function podEnv(uid: string): Record<string, string> {
  return { POD_UID: uid, POD_NAME: uid, POD_NAMESPACE: "agents", AGENT_ID: `agent-${uid}` };
}

function spoolFolder(): string {
  const folder = mkdtempSync(path.join(tmpdir(), "hook-spool-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  return folder;
}

async function startHook(
  env: Readonly<Record<string, string>>,
  args: readonly string[],
): Promise<{ readonly child: Child; readonly url: string }> {
  const child = await startProgram(["hook", "--listen", "127.0.0.1:0", ...args], { env });
  const [, url] = await child.says(/^agent_runtime hook at (\S+)$/m, LONG);
  return { child, url: url! };
}

/** Its status. */
async function call(url: string): Promise<number> {
  const response = await fetch(url);
  await response.arrayBuffer();
  return response.status;
}

async function phaseOf(id: string): Promise<string | null> {
  const options = { consistency: "strong" } as const;
  return (await manager.getState(id, options).catch(() => null))?.phase ?? null;
}

test("what a hook told while nobody took it outlives kill -9, and starts the drain of the agent", async () => {
  const spool = spoolFolder();
  const env = podEnv("killed");
  const away = await startHook(env, ["--url", NOWHERE, "--spool", spool]);
  for (const hook of ["postStart", "preStop"]) {
    // 202 where the disk is slow: then the fact may not be on it yet.
    await until(async () => (await call(`${away.url}/v1/hooks/main/${hook}`)) === 200, LONG);
  }
  await away.child.kill("SIGKILL");
  expect(await phaseOf("pod:killed")).toBeNull();

  const back = await startHook(env, ["--url", served.url, "--spool", spool, "--drain-ms", "60000"]);
  await until(async () => (await phaseOf("agent-killed")) === "draining", LONG);
  expect(await phaseOf("pod:killed")).toBe("stopping");
  const health = (await (await fetch(`${back.url}/healthz`)).json()) as object;
  expect(health).toMatchObject({ answered: 0 });
  await until(async () => (await call(`${back.url}/v1/hooks/other/postStart`)) === 200, LONG);
  expect((await back.child.kill("SIGTERM")).code).toBe(0);
  const { data } = await manager.getState("pod:killed", { consistency: "strong" });
  expect(data).toMatchObject({ containers: [{ name: "main" }, { name: "other" }] });
});

test("an exec hook tells once; where nobody takes it, the next one tells it too", async () => {
  const spool = spoolFolder();
  const env = podEnv("exec");
  const exec = (hook: string, url: string): ReturnType<typeof runProgram> => {
    const where = ["--url", url, "--spool", spool, "--within-ms", url === NOWHERE ? "1" : "60000"];
    return runProgram(["hook", "exec", hook, "--container", "main", ...where], { env });
  };
  expect(await exec("postStart", NOWHERE)).toMatchObject({
    code: 0,
    stdout: `postStart of main: 1 facts wait in ${spool}\n`,
  });
  expect(await exec("preStop", served.url)).toMatchObject({
    code: 0,
    stdout: "preStop of main: reported\n",
  });
  const { items } = await manager.history("pod:exec", { consistency: "strong" });
  expect(items[0]).toMatchObject({
    phase: "stopping",
    cause: expect.stringMatching(/preStop of main/) as unknown,
  });
  const lost = await runProgram(
    ["hook", "exec", "preStop", "--container", "main", "--spool", "/dev/null/x"],
    { env },
  );
  expect(lost).toMatchObject({
    code: 0,
    stderr: expect.stringMatching(/was not reported: The spool in/) as unknown,
  });
});

test("a pod that does not say which it is, and a hook that is none, are refused", async () => {
  const nobody = await runProgram(["hook"], { env: { POD_NAME: "x" } });
  expect(nobody).toMatchObject({ code: 2 });
  expect(nobody.stderr).toMatch(/set POD_UID \(metadata.uid\), POD_NAMESPACE/);
  const wrong = await runProgram(["hook", "exec", "prestop", "--container", "main"], {
    env: podEnv("x"),
  });
  expect(wrong).toMatchObject({ code: 2 });
});

test.each(["library", "client"])(
  "a processor of the %s that works for an agent drains with it",
  async (face) => {
    const agent = `drains-${face}`;
    const client = HttpStateClient.open({ url: served.url });
    onTestFinished(() => client.close());
    const tell = (fact: "start" | "preStop"): Promise<void> =>
      manager.lifecycle.publish([
        parseFact({
          source: "hook",
          podUid: agent,
          podName: agent,
          namespace: "agents",
          container: "main",
          fact: fact === "start" ? "postStart" : fact,
          at: fact === "start" ? "2026-11-26T10:00:00Z" : "2026-11-26T10:00:09Z",
          labels: { "agentruntime.dev/agent": agent },
        }),
      ]);
    await tell("start");
    await manager.tasks.push(agent, { id: `${agent}-1` });
    const done: string[] = [];
    const processor = (face === "library" ? manager : client).startLifoTaskProcessor(
      (task) => void done.push(task.id),
      { agent, stacks: [agent], drainMs: 60_000 },
    );
    await until(() => done.length === 1, LONG);
    await tell("preStop");
    // What comes from now on is another's: once it has stopped, it takes nothing.
    let pushed = 1;
    await until(async () => {
      const { id } = await manager.tasks.push(agent, { id: `${agent}-${++pushed}` });
      return await isLeftAlone(id);
    }, LONG);
    await processor.stop();
    expect(done.length).toBeLessThan(pushed);
  },
);

test("a processor that works for an agent takes nothing before it has looked at the agent", async () => {
  const told: string[] = [];
  const begun = new AbortController();
  const slowStates: AgentStates = {
    async getState(id, options) {
      await pause(500, undefined, { signal: begun.signal }).catch(() => undefined);
      told.push("looked");
      return await manager.getState(id, options);
    },
    watch: (options) => manager.watch(options),
  };
  const processors = new Processors({ tasks: manager.tasks, states: slowStates });
  onTestFinished(() => processors.stop());
  await manager.tasks.push("looks-first", { id: "looks-first-1" });
  const handler = (): void => {
    told.push("begun");
    begun.abort();
  };
  processors.start(handler, { agent: "looks-first", stacks: ["looks-first"] });
  await until(() => told.includes("begun"), LONG);
  expect(told.slice(0, 2)).toEqual(["looked", "begun"]);
});

/** Whether nobody works on it within a second. */
async function isLeftAlone(id: string): Promise<boolean> {
  await pause(1_000);
  return (await manager.tasks.get(id)).phase === "ready";
}
