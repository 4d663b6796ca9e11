import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, expect, onTestFinished, test, vi } from "vitest";
import type { RocketmqAddress } from "../../dev/services/rocketmq.ts";
import { HttpStateClient } from "../../src/client/http-client.ts";
import { RocketmqBus } from "../../src/rocketmq/bus.ts";
import type { IncomingMessage, MessageConsumer } from "../../src/state/message-bus.ts";
import { FaultyApiServer } from "../kubernetes/faulty-api-server.ts";
import { newPod } from "../kubernetes/pods.ts";
import { runProgram, startProgram, startService } from "../support/child.ts";
import { ROCKETMQ_START_MS, adminOf, brokerOf, closing } from "../support/rocketmq.ts";
import { connectionTo, rocketmqOf } from "../support/rocketmq.ts";
import { tell } from "../support/pod-stories.ts";
import { until } from "../support/until.ts";

vi.setConfig({ testTimeout: 300_000 });

const CALLER = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const SENDER = CALLER.replace("4bf92f", "000001");

const LONG = { timeoutMs: 120_000 };

let address: RocketmqAddress;
let cwd: string;
let env: Readonly<Record<string, string>>;
beforeEach(async (context) => {
  address = await rocketmqOf(context);
  cwd = mkdtempSync(join(tmpdir(), "art-rocketmq-service-"));
  onTestFinished(() => rmSync(cwd, { recursive: true, force: true }));
  const own = String(process.hrtime.bigint());
  env = {
    AGENT_RUNTIME_MESSAGES: "rocketmq",
    AGENT_RUNTIME_ROCKETMQ_QUEUES: "4",
    AGENT_RUNTIME_ROCKETMQ_LIFECYCLE_TOPIC: `facts-${own}`,
    AGENT_RUNTIME_ROCKETMQ_UPDATES_TOPIC: `updates-${own}`,
    AGENT_RUNTIME_ROCKETMQ_TASK_TOPIC: `ready-${own}`,
    ROCKETMQ_ENDPOINTS: address.endpoint,
    ROCKETMQ_NAMESERVER_ADDRS: address.nameserver,
    ROCKETMQ_STATE_TOPIC: `changes-${own}`,
    ROCKETMQ_CONSUMER_GROUP: `service-${own}`,
  };
}, ROCKETMQ_START_MS);

async function createTopics(): Promise<{ made: string[]; kept: string[] }> {
  const { code, stdout, stderr } = await runProgram(["state", "topics", "create", "--json"], {
    cwd,
    env,
  });
  expect(code, stderr).toBe(0);
  return JSON.parse(stdout) as { made: string[]; kept: string[] };
}

/** The event in the next message, which is acknowledged. */
async function next(from: MessageConsumer): Promise<unknown> {
  const message: IncomingMessage = await until(async () => {
    const [one] = await from.receive();
    if (one !== undefined) await from.acknowledge(one);
    return one;
  }, LONG);
  const event = JSON.parse(Buffer.from(message.body).toString()) as { traceparent?: string };
  expect(message.properties["traceparent"]).toBe(event.traceparent);
  return event;
}

test("topics create makes what is missing, puts right what is wrong, and leaves the rest", async () => {
  const [changes, updates] = [
    env["ROCKETMQ_STATE_TOPIC"]!,
    env["AGENT_RUNTIME_ROCKETMQ_UPDATES_TOPIC"]!,
  ];
  const group = env["ROCKETMQ_CONSUMER_GROUP"]!;
  const facts = env["AGENT_RUNTIME_ROCKETMQ_LIFECYCLE_TOPIC"]!;
  const ready = env["AGENT_RUNTIME_ROCKETMQ_TASK_TOPIC"]!;
  const names = [
    ...[changes, updates, facts, ready].map((name) => `topic ${name}`),
    ...[group, `${group}_lifecycle`].map((name) => `group ${name}`),
  ];
  expect(await createTopics()).toMatchObject({ made: names, kept: [] });
  expect(await createTopics()).toMatchObject({ made: [], kept: names });
  const admin = adminOf(address);
  const broker = await brokerOf(admin);
  await admin.putGroup(broker, { name: group, isOrdered: false, retries: 16 });
  expect(await createTopics()).toMatchObject({ made: [`group ${group}`] });
  expect(await admin.topic(broker, changes)).toEqual({ name: changes, type: "FIFO", queues: 4 });
  expect(await admin.topic(broker, ready)).toMatchObject({ type: "NORMAL" });
  expect(await admin.group(broker, group)).toMatchObject({ isOrdered: true });
});

test("a task that is ready wakes up whoever listens", async () => {
  await createTopics();
  const topic = env["AGENT_RUNTIME_ROCKETMQ_TASK_TOPIC"]!;
  const admin = adminOf(address);
  const reader = { name: `workers-${topic}`, isOrdered: false, retries: 16 };
  await admin.putGroup(await brokerOf(admin), reader);
  const bus = closing(new RocketmqBus(connectionTo(address)));
  const times = { awaitMs: 500, invisibleMs: 60_000, batchSize: 1 };
  const consumer = bus.openConsumer({ topic, group: reader.name, ...times });
  const { child, url } = await startService([], { cwd, env, ...LONG });
  onTestFinished(async () => void (await child.kill("SIGTERM")));
  const client = closing(HttpStateClient.open({ url }));
  const { id } = await client.tasks.push("alice", { kind: "build" });
  expect(await next(consumer)).toMatchObject({
    type: "dev.agentruntime.task.ready.v1",
    subject: id,
    data: { namespace: "default", stack: "alice", id, kind: "build" },
  });
});

/** The pods that an `agent_runtime reflector --to rocketmq` follows. */
async function startReflector(): Promise<FaultyApiServer> {
  const kubernetes = new FaultyApiServer();
  const { origin } = await kubernetes.start();
  const to = ["--to", "rocketmq", "--url", "http://127.0.0.1:9", "--spool", join(cwd, "spool")];
  const listen = ["--listen", "127.0.0.1:0"];
  const reflector = await startProgram(["reflector", "--server", origin, ...to, ...listen], {
    cwd,
    env,
  });
  onTestFinished(async () => {
    await reflector.kill("SIGTERM");
    await kubernetes.stop();
  });
  return kubernetes;
}

test("a change goes out, and an update and facts come in, over a real RocketMQ", async () => {
  await createTopics();
  const bus = closing(new RocketmqBus(connectionTo(address)));
  const topic = env["ROCKETMQ_STATE_TOPIC"]!;
  const group = `readers-${topic}`;
  const admin = adminOf(address);
  await admin.putGroup(await brokerOf(admin), { name: group, isOrdered: true, retries: 1_000 });
  const consumer = bus.openConsumer({
    topic,
    group,
    awaitMs: 500,
    invisibleMs: 60_000,
    batchSize: 1,
  });
  const { child, url } = await startService([], { cwd, env, ...LONG });
  onTestFinished(async () => void (await child.kill("SIGTERM")));

  const headers = { "content-type": "application/json", traceparent: CALLER };
  const body = JSON.stringify({ type: "task", data: { n: 1 }, scope: "agent 7" });
  const put = await fetch(`${url}/v1/states/out`, { method: "PUT", headers, body });
  expect(put.status).toBe(201);
  expect(await next(consumer)).toMatchObject({
    subject: "out",
    data: { id: "out", version: "1" },
    traceparent: CALLER,
  });

  const update = {
    specversion: "1.0",
    id: "one",
    source: "test",
    type: "dev.agentruntime.state.update.v1",
    traceparent: SENDER,
    data: { id: "in", type: "task", data: { came: "in" }, scope: "agent 7" },
  };
  await bus.producer.send({
    topic: env["AGENT_RUNTIME_ROCKETMQ_UPDATES_TOPIC"]!,
    group: "agent 7",
    body: Buffer.from(JSON.stringify(update)),
  });
  expect(await next(consumer)).toMatchObject({
    subject: "in",
    data: { data: { came: "in" } },
    traceparent: SENDER,
  });

  const facts = [tell("kata", ["exit", 9], { podUid: "p1", exitCode: 3, labels: {} })];
  const told = await fetch(`${url}/v1/lifecycle/facts`, {
    method: "POST",
    headers,
    body: JSON.stringify({ facts }),
  });
  expect(told.status).toBe(202);
  expect(await next(consumer)).toMatchObject({
    subject: "pod:p1",
    data: { type: "lifecycle" },
    traceparent: CALLER,
  });

  // A reflector that knows no service: what it sees comes to it over the broker alone.
  const kubernetes = await startReflector();
  kubernetes.put(newPod("r", "uid-r", 0));
  const seen = { id: "pod:uid-r", phase: "requested", data: { podName: "r" } };
  // The pod and its agent are in scopes of their own: either may come first.
  const both = [await next(consumer), await next(consumer)];
  const reflected = both.find((event) => (event as { subject: string }).subject === "pod:uid-r");
  expect(reflected).toMatchObject({ subject: "pod:uid-r", data: seen });
  expect(reflected).not.toHaveProperty("traceparent");
});
