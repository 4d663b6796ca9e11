import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { Cri } from "../../dev/services/cri.ts";
import { HttpStateClient } from "../../src/client/http-client.ts";
import type { JsonObject } from "../../src/state/json.ts";
import { anyHome } from "../messages/parts.ts";
import { runProgram, startProgram, startService } from "../support/child.ts";
import type { Child } from "../support/child.ts";
import { describeOnContainerd } from "../support/containerd.ts";
import type { TestDatabase } from "../support/homes.ts";
import { openBench } from "../support/manager.ts";
import type { Bench } from "../support/manager.ts";
import { ROCKETMQ_START_MS, rocketmqOf } from "../support/rocketmq.ts";
import { until } from "../support/until.ts";

const LONG = { timeoutMs: 120_000 };
const SERVE = ["/bin/sh", "-c", "trap 'exit 3' TERM; while :; do sleep 0.05; done"];

await describeOnContainerd("a captor that tells RocketMQ", (containerd) => {
  let cwd: string;
  let database: TestDatabase;
  let bench: Bench;

  beforeAll(async () => {
    cwd = mkdtempSync(join(tmpdir(), "art-captor-broker-"));
    bench = await openBench(anyHome());
    ({ database } = bench);
  });
  afterAll(async () => {
    await bench.close();
    rmSync(cwd, { recursive: true, force: true });
  });

  /** The program `captor`, once it has seen all that is there. */
  async function startCaptor(
    args: readonly string[],
    env: Readonly<Record<string, string>>,
  ): Promise<{ readonly child: Child; readonly url: string }> {
    const where = ["--captor-containerd", containerd.socket, "--captor-listen", "127.0.0.1:0"];
    const child = await startProgram(["captor", ...where, ...args], { cwd, env });
    onTestFinished(async () => void (await child.kill()));
    const [, url] = await child.says(/^agent_runtime captor at (\S+)$/m, LONG);
    return { child, url: url! };
  }

  test(
    "the life of a container comes to the state of its pod by way of the broker, no service being asked",
    async (context) => {
      const address = await rocketmqOf(context);
      const own = String(process.hrtime.bigint());
      const env = {
        SUPABASE_DB_URL: database.url,
        AGENT_RUNTIME_MESSAGES: "rocketmq",
        AGENT_RUNTIME_ROCKETMQ_QUEUES: "4",
        AGENT_RUNTIME_ROCKETMQ_LIFECYCLE_TOPIC: `facts-${own}`,
        AGENT_RUNTIME_ROCKETMQ_UPDATES_TOPIC: `updates-${own}`,
        ROCKETMQ_ENDPOINTS: address.endpoint,
        ROCKETMQ_NAMESERVER_ADDRS: address.nameserver,
        ROCKETMQ_STATE_TOPIC: `changes-${own}`,
        ROCKETMQ_CONSUMER_GROUP: `captor-${own}`,
      };
      const topics = await runProgram(["state", "topics", "create"], { cwd, env });
      expect(topics.code, topics.stderr).toBe(0);
      const captor = await startCaptor(["--to", "rocketmq", "--spool", join(cwd, own)], env);
      await until(async () => (await fetch(`${captor.url}/readyz`)).ok, LONG);
      const cri = new Cri(containerd);
      onTestFinished(() => cri.close());
      // What happens while no service runs waits in the broker.
      const pod = await cri.runPod({ labels: { "agentruntime.dev/agent": `agent-${own}` } });
      const id = await pod.run({ command: SERVE });

      const service = await startService([], { cwd, env, ...LONG });
      onTestFinished(async () => void (await service.child.kill("SIGTERM")));
      const client = HttpStateClient.open({ url: service.url });
      onTestFinished(() => client.close());
      const phaseOf = async (state: string): Promise<string | null> =>
        (await client.getState(state, { consistency: "strong" }).catch(() => null))?.phase ?? null;
      await until(async () => (await phaseOf(`pod:${pod.uid}`)) === "running", LONG);
      await until(async () => (await phaseOf(`agent-${own}`)) === "idle", LONG);
      await pod.stop(id, 30);
      await until(async () => (await phaseOf(`pod:${pod.uid}`)) === "failed", LONG);
      const { data } = await client.getState(`pod:${pod.uid}`, { consistency: "strong" });
      expect((data as JsonObject)["exitCode"]).toBe(3);
      await until(async () => (await phaseOf(`agent-${own}`)) === "failed", LONG);
      await pod.remove();
      await until(async () => {
        const text = await (await fetch(`${captor.url}/metrics`)).text();
        return /captor_facts_total\{fact="delete"\} 2\b/.test(text) && /spool_facts 0\b/.test(text);
      }, LONG);
      expect(await captor.child.kill("SIGTERM")).toMatchObject({ code: 0 });
    },
    ROCKETMQ_START_MS,
  );

  test("it says whether it is alive, whether it is on the bus, and what it did", async () => {
    const away = ["--url", "http://127.0.0.1:9", "--spool", join(cwd, "away"), "--drain-ms", "0"];
    const { child, url } = await startCaptor(away, { NODE_NAME: "node-1" });
    const look = async (page: string): Promise<{ status: number; text: string }> => {
      const response = await fetch(url + page);
      return { status: response.status, text: await response.text() };
    };
    await until(async () => (await look("/readyz")).status === 200, LONG);
    const cri = new Cri(containerd);
    onTestFinished(() => cri.close());
    const pod = await cri.runPod();
    await until(async () => /joined 1\n[^]*spool_facts [1-9]/.test((await look("/metrics")).text));
    expect(JSON.parse((await look("/healthz")).text)).toMatchObject({
      isJoined: true,
      joins: 1,
      handedOn: 0,
      listedAt: expect.any(String) as string,
    });
    expect(await look("/nothing")).toMatchObject({ status: 404 });
    await containerd.kill();
    await until(async () => (await look("/readyz")).status === 503, LONG);
    expect((await look("/healthz")).status).toBe(200);
    expect((await look("/metrics")).text).toMatch(/agent_runtime_captor_joined 0\n/);
    await containerd.start();
    await until(async () => (await look("/readyz")).status === 200, LONG);
    expect((await look("/metrics")).text).toMatch(/agent_runtime_captor_joins_total 2\n/);
    await pod.remove();
    expect(await child.kill("SIGTERM")).toMatchObject({ code: 0 });
  });
});
