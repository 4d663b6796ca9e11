import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, onTestFinished, test, vi } from "vitest";
import type { TestContext } from "vitest";
import { startRocketmq } from "../../dev/services/rocketmq.ts";
import type { Rocketmq } from "../../dev/services/rocketmq.ts";
import { findParts } from "../../dev/services/tools.ts";
import { RocketmqAdmin } from "../../src/rocketmq/admin/admin.ts";
import { ask } from "../../src/rocketmq/admin/remote.ts";
import { RocketmqBus } from "../../src/rocketmq/bus.ts";
import { run } from "../cli/fake-terminal.ts";
import { diagnose } from "../doctor/doctor.ts";
import { startService } from "../support/child.ts";
import { brokerOf, closing, connectionTo, ROCKETMQ_START_MS } from "../support/rocketmq.ts";
import { until } from "../support/until.ts";

vi.setConfig({ testTimeout: ROCKETMQ_START_MS });

const LONG = { timeoutMs: 120_000 };
const ADMIN = { accessKey: "admin", secretKey: "a-secret-of-the-administrator" };
const SERVICE = { accessKey: "service", secretKey: "a-secret-of-the-service" };
const AUTH = "org.apache.rocketmq.auth";
const PROXY_AUTH = "org.apache.rocketmq.proxy.auth";
/** Below what travels inline, so that the broker has to refuse it and not this program. */
const BROKER_TAKES = 64 * 1024;
const CREATE_USER = 3_001;
const CREATE_ACL = 3_006;

let folder: string;
let cwd: string;
let rocketmq: Rocketmq;
let missing: string | undefined;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "art-refusals-"));
  cwd = join(folder, "service");
  const home = join(folder, "rocketmq");
  for (const made of [cwd, join(home, "conf")]) mkdirSync(made, { recursive: true });
  const { rocketmq: tools } = findParts();
  missing = tools.missing;
  if (tools.missing !== undefined) return;
  const own = `accessKey: ${ADMIN.accessKey}\nsecretKey: ${ADMIN.secretKey}\n`;
  writeFileSync(join(home, "conf", "tools.yml"), own, { mode: 0o600 });
  const both = {
    authenticationEnabled: true,
    authenticationProvider: `${AUTH}.authentication.provider.DefaultAuthenticationProvider`,
    authorizationEnabled: true,
    authorizationProvider: `${AUTH}.authorization.provider.DefaultAuthorizationProvider`,
    innerClientAuthenticationCredentials: JSON.stringify(ADMIN),
    aclCacheRefreshSecond: 1,
    aclCacheExpiredSecond: 2,
    maxMessageSize: BROKER_TAKES,
  };
  rocketmq = await startRocketmq({
    tools,
    folder: home,
    overrides: {
      broker: {
        ...both,
        authenticationMetadataProvider: `${AUTH}.authentication.provider.LocalAuthenticationMetadataProvider`,
        authorizationMetadataProvider: `${AUTH}.authorization.provider.LocalAuthorizationMetadataProvider`,
        initAuthenticationUser: `{"username":"${ADMIN.accessKey}","password":"${ADMIN.secretKey}"}`,
      },
      proxy: {
        ...both,
        authenticationMetadataProvider: `${PROXY_AUTH}.ProxyAuthenticationMetadataProvider`,
        authorizationMetadataProvider: `${PROXY_AUTH}.ProxyAuthorizationMetadataProvider`,
        enableAclRpcHookForClusterMode: true,
      },
    },
  });
}, ROCKETMQ_START_MS);

afterAll(async () => {
  await rocketmq?.stop();
  rmSync(folder, { recursive: true, force: true });
});

/** Topics and groups have one beginning each, so that a permission can name what it is for. */
function envOf({ accessKey, secretKey }: typeof ADMIN, topic: string): Record<string, string> {
  return {
    AGENT_RUNTIME_MESSAGES: "rocketmq",
    AGENT_RUNTIME_ROCKETMQ_QUEUES: "2",
    AGENT_RUNTIME_ROCKETMQ_ACCESS_KEY: accessKey,
    AGENT_RUNTIME_ROCKETMQ_SECRET_KEY: secretKey,
    AGENT_RUNTIME_ROCKETMQ_UPDATES_TOPIC: "in-updates",
    AGENT_RUNTIME_ROCKETMQ_LIFECYCLE_TOPIC: "in-facts",
    ROCKETMQ_ENDPOINTS: rocketmq.address.endpoint,
    ROCKETMQ_NAMESERVER_ADDRS: rocketmq.address.nameserver,
    ROCKETMQ_STATE_TOPIC: topic,
    ROCKETMQ_CONSUMER_GROUP: "readers",
  };
}

/** Asks the broker, as its administrator, for what the program itself never does. */
async function administer(code: number, fields: Record<string, string>, body: object) {
  const timeoutMs = 30_000;
  const nameservers = [rocketmq.address.nameserver];
  const admin = new RocketmqAdmin({ nameservers, timeoutMs, credentials: ADMIN });
  const { address } = await brokerOf(admin);
  const question = { what: "access", code, fields, body: Buffer.from(JSON.stringify(body)) };
  const { header } = await ask(address, question, { credentials: ADMIN, timeoutMs });
  expect(header).toMatchObject({ code: 0 });
}

async function allow(resources: readonly string[]): Promise<void> {
  const subject = `User:${SERVICE.accessKey}`;
  const entries = resources.map((resource) => {
    return { resource, actions: ["Pub", "Sub", "Get"], sourceIps: [], decision: "Allow" };
  });
  await administer(
    CREATE_ACL,
    { subject },
    {
      subject,
      policies: [{ policyType: "Custom", entries }],
    },
  );
}

interface Messages {
  readonly health: string;
  readonly reason?: string;
  readonly relay: { readonly sent: number; readonly reduced: number; readonly parked: number };
}

async function messagesOf(url: string): Promise<Messages> {
  const info = (await (await fetch(`${url}/v1/info`)).json()) as { parts: { messages: Messages } };
  return info.parts.messages;
}

async function put(url: string, id: string, data: unknown): Promise<void> {
  const headers = { "content-type": "application/json" };
  const body = JSON.stringify({ type: "note", data });
  const { status } = await fetch(`${url}/v1/states/${id}`, { method: "PUT", headers, body });
  expect([200, 201]).toContain(status);
}

/** `state id version`, each once, of what comes on a topic until so many came. */
async function receive(bus: RocketmqBus, topic: string, count: number): Promise<string[]> {
  const group = "readers";
  const options = { topic, group, awaitMs: 500, invisibleMs: 60_000, batchSize: 16 };
  const consumer = bus.openConsumer(options);
  const came = new Set<string>();
  await until(async () => {
    for (const message of await consumer.receive()) {
      await consumer.acknowledge(message);
      const { data } = JSON.parse(Buffer.from(message.body).toString()) as {
        data: { id: string; version: string; data?: unknown };
      };
      came.add(`${data.id} ${data.version}${data.data === undefined ? " bare" : ""}`);
    }
    return came.size >= count;
  }, LONG);
  return [...came].toSorted();
}

function absent(context: TestContext, why: string): never {
  if (process.env["CI"] === "true") throw new Error(why);
  return context.skip(why);
}

/** Health, metrics and doctor say what is missing, and that all waits. */
async function expectForbidden(url: string, env: Record<string, string>): Promise<void> {
  await until(async () => (await messagesOf(url)).health === "unavailable", LONG);
  const told = await messagesOf(url);
  expect(told.reason).toMatch(/topic out-changes.*Let that user publish and subscribe/s);
  expect(told.relay).toMatchObject({ sent: 0, reduced: 0, parked: 0 });
  // What waits is counted once a second.
  const metrics = async (): Promise<string> => await (await fetch(`${url}/metrics`)).text();
  await expect.poll(metrics).toMatch(/agent_runtime_relay_changes_behind 6\b/);
  expect(await metrics()).toContain("agent_runtime_relay_up 0");
  const { code, findings } = await diagnose(env, ["--url", url]);
  expect(code).toBe(1);
  expect(findings.get("messages, as the service sees it")?.found).toContain("Let that user");
}

/** What it may, goes on. */
async function expectTakesIn(url: string, bus: RocketmqBus): Promise<void> {
  const type = "dev.agentruntime.state.update.v1";
  const data = { id: "in", type: "note", data: 1 };
  const update = { specversion: "1.0", id: "one", source: "/t", type, data };
  const body = Buffer.from(JSON.stringify(update));
  await bus.producer.send({ topic: "in-updates", group: "in", body });
  await until(async () => (await fetch(`${url}/v1/states/in`)).status === 200, LONG);
}

/** They say that a change went out without its document, and what to do. */
async function expectReduced(url: string, env: Record<string, string>): Promise<void> {
  expect((await messagesOf(url)).relay).toMatchObject({ reduced: 1, parked: 0 });
  expect(await (await fetch(`${url}/metrics`)).text()).toMatch(/relay_reduced_total 1\b/);
  const after = await diagnose(env, ["--url", url]);
  expect(after.findings.get("messages, changes are taken")).toMatchObject({
    level: "advice",
    remedy: expect.stringContaining("maxMessageSize"),
  });
}

test("what may not be published, and what is too large, is told, is lost nowhere, and heals", async (context) => {
  if (missing !== undefined) absent(context, `not here: ${missing}`);
  const topic = "out-changes";
  const made = await run(["state", "topics", "create"], { env: envOf(ADMIN, topic) });
  expect(made).toMatchObject({ code: 0 });
  const { accessKey: username, secretKey: password } = SERVICE;
  const user = { username, password, userType: "Normal", userStatus: "enable" };
  await administer(CREATE_USER, { username }, user);
  await allow(["Topic:in-*", "Group:*"]);

  const env = envOf(SERVICE, topic);
  const { child, url } = await startService([], { cwd, env, ...LONG });
  onTestFinished(async () => void (await child.kill("SIGTERM")));
  for (let version = 1; version <= 3; version += 1) {
    await put(url, "a", { version });
    await put(url, "b", { version });
  }
  await expectForbidden(url, env);
  const bus = closing(new RocketmqBus({ ...connectionTo(rocketmq.address), credentials: ADMIN }));
  await expectTakesIn(url, bus);

  await allow(["Topic:out-*"]);
  const all = ["a 1", "a 2", "a 3", "b 1", "b 2", "b 3", "in 1"];
  expect(await receive(bus, topic, all.length)).toEqual(all);
  await until(async () => (await messagesOf(url)).health === "ok", LONG);
  expect((await messagesOf(url)).reason).toBeUndefined();

  await put(url, "a", "x".repeat(2 * BROKER_TAKES));
  await put(url, "a", { version: 5 });
  expect(await receive(bus, topic, 2)).toEqual(["a 4 bare", "a 5"]);
  await expectReduced(url, env);
});
