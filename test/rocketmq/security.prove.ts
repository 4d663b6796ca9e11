import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, onTestFinished, test, vi } from "vitest";
import type { TestContext } from "vitest";
import { startRocketmq } from "../../dev/services/rocketmq.ts";
import type { Rocketmq } from "../../dev/services/rocketmq.ts";
import { findParts } from "../../dev/services/tools.ts";
import { RocketmqBus } from "../../src/rocketmq/bus.ts";
import type { ConnectionSettings } from "../../src/rocketmq/settings.ts";
import { run } from "../cli/fake-terminal.ts";
import { diagnose } from "../doctor/doctor.ts";
import { connectionTo, ROCKETMQ_START_MS } from "../support/rocketmq.ts";

vi.setConfig({ testTimeout: ROCKETMQ_START_MS });

const ADMIN = { accessKey: "admin", secretKey: "a-secret-of-the-administrator" };
const AUTH = "org.apache.rocketmq.auth";
const PROXY_AUTH = "org.apache.rocketmq.proxy.auth";
const INNER = JSON.stringify(ADMIN);

let folder: string;
let rocketmq: Rocketmq | undefined;
let missing: string | undefined;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "art-security-"));
  const { rocketmq: tools } = findParts();
  missing = tools.missing ?? makeCertificates();
  if (tools.missing !== undefined || missing !== undefined) return;
  const both = {
    authenticationEnabled: true,
    authenticationProvider: `${AUTH}.authentication.provider.DefaultAuthenticationProvider`,
    innerClientAuthenticationCredentials: INNER,
  };
  // The proxy signs what it asks the broker with what stands here.
  const home = join(folder, "rocketmq");
  mkdirSync(join(home, "conf"), { recursive: true });
  const own = `accessKey: ${ADMIN.accessKey}\nsecretKey: ${ADMIN.secretKey}\n`;
  writeFileSync(join(home, "conf", "tools.yml"), own, { mode: 0o600 });
  rocketmq = await startRocketmq({
    tools,
    folder: home,
    overrides: {
      broker: {
        ...both,
        authenticationMetadataProvider: `${AUTH}.authentication.provider.LocalAuthenticationMetadataProvider`,
        initAuthenticationUser: `{"username":"${ADMIN.accessKey}","password":"${ADMIN.secretKey}"}`,
      },
      proxy: {
        ...both,
        authenticationMetadataProvider: `${PROXY_AUTH}.ProxyAuthenticationMetadataProvider`,
        enableAclRpcHookForClusterMode: true,
        tlsTestModeEnable: false,
        tlsCertPath: join(folder, "proxy.pem"),
        tlsKeyPath: join(folder, "proxy.key"),
      },
    },
  });
}, ROCKETMQ_START_MS);

afterAll(async () => {
  await rocketmq?.stop();
  rmSync(folder, { recursive: true, force: true });
});

/** An authority of our own, and what it signed for the proxy; what is missing for it. */
function makeCertificates(): string | undefined {
  const openssl = (...args: string[]): void =>
    void execFileSync("openssl", args, { cwd: folder, stdio: "pipe" });
  const key = ["-newkey", "rsa:2048", "-nodes"];
  try {
    openssl("version");
  } catch {
    return "openssl (apt-get install openssl)";
  }
  for (const name of ["ca", "other"]) {
    const files = ["-keyout", `${name}.key`, "-out", `${name}.pem`];
    openssl("req", "-x509", ...key, ...files, "-days", "2", "-subj", `/CN=${name}`);
  }
  openssl(
    "req",
    ...key,
    "-keyout",
    "proxy.key",
    "-out",
    "proxy.csr",
    "-subj",
    "/CN=proxy",
    "-addext",
    "subjectAltName=IP:127.0.0.1,DNS:localhost",
  );
  openssl(
    "x509",
    "-req",
    "-in",
    "proxy.csr",
    "-CA",
    "ca.pem",
    "-CAkey",
    "ca.key",
    "-CAcreateserial",
    "-days",
    "2",
    "-copy_extensions",
    "copy",
    "-out",
    "proxy.pem",
  );
  return undefined;
}

function present(context: TestContext): Rocketmq {
  if (rocketmq !== undefined) return rocketmq;
  if (process.env["CI"] === "true") throw new Error(`not here: ${missing}`);
  return context.skip(`not here: ${missing}`);
}

/** What a service would be told in its environment. */
function envOf({ address }: Rocketmq, topic: string): Record<string, string> {
  return {
    AGENT_RUNTIME_MESSAGES: "rocketmq",
    AGENT_RUNTIME_ROCKETMQ_QUEUES: "2",
    AGENT_RUNTIME_ROCKETMQ_ACCESS_KEY: ADMIN.accessKey,
    AGENT_RUNTIME_ROCKETMQ_SECRET_KEY: ADMIN.secretKey,
    ROCKETMQ_ENDPOINTS: address.endpoint,
    ROCKETMQ_NAMESERVER_ADDRS: address.nameserver,
    ROCKETMQ_STATE_TOPIC: topic,
    ROCKETMQ_CONSUMER_GROUP: `${topic}-readers`,
  };
}

/** Sends one message with these settings, and receives it. */
async function passOne(topic: string, settings: ConnectionSettings): Promise<string> {
  const bus = new RocketmqBus(settings);
  onTestFinished(() => bus.close());
  await bus.producer.send({ topic, group: "g", body: Buffer.from("hello") });
  const consumer = bus.openConsumer({
    topic,
    group: `${topic}-readers`,
    awaitMs: 2_000,
    invisibleMs: 30_000,
    batchSize: 1,
  });
  for (;;) {
    const [message] = await consumer.receive();
    if (message === undefined) continue;
    await consumer.acknowledge(message);
    return Buffer.from(message.body).toString();
  }
}

test("with the right credentials topics are made and messages pass; with wrong ones or none it says what to check", async (context) => {
  const { address } = present(context);
  const env = envOf(rocketmq!, "changes-acl");
  expect(await run(["state", "topics", "create"], { env })).toMatchObject({ code: 0 });
  const way = connectionTo(address);
  await expect
    .poll(async () => [...(await diagnose(env)).findings], { timeout: 120_000, interval: 500 })
    .toEqual([]);
  const text = await passOne("changes-acl", { ...way, credentials: ADMIN });
  expect(text).toBe("hello");

  for (const credentials of [
    { ...ADMIN, secretKey: "wrong" },
    { ...ADMIN, accessKey: "nobody" },
  ]) {
    const bus = new RocketmqBus({ ...way, credentials });
    onTestFinished(() => bus.close());
    const sending = bus.producer.send({ topic: "changes-acl", group: "g", body: Buffer.from("x") });
    await expect(sending).rejects.toThrow(/Check rocketmq\.accessKey and rocketmq\.secretKey/);
    const wrong = {
      ...env,
      AGENT_RUNTIME_ROCKETMQ_ACCESS_KEY: credentials.accessKey,
      AGENT_RUNTIME_ROCKETMQ_SECRET_KEY: credentials.secretKey,
    };
    const { code, findings } = await diagnose(wrong);
    expect(code).toBe(1);
    expect(findings.get("rocketmq, proxy")?.found).toContain("Check rocketmq.accessKey");
    const making = await run(["state", "topics", "create"], { env: wrong });
    expect(making.code).not.toBe(0);
    expect(making.stderr).not.toContain(credentials.secretKey);
    expect(making.stderr).toMatch(/RocketMQ answered \d+/);
  }
  const bare = new RocketmqBus(way);
  onTestFinished(() => bare.close());
  const sending = bare.producer.send({ topic: "changes-acl", group: "g", body: Buffer.from("x") });
  await expect(sending).rejects.toThrow(/Check rocketmq\.accessKey/);
});

test("with TLS messages pass where the authority is the one that signed; another one is told", async (context) => {
  const { address } = present(context);
  const env = { ...envOf(rocketmq!, "changes-tls") };
  expect(await run(["state", "topics", "create"], { env })).toMatchObject({ code: 0 });
  const way = { ...connectionTo(address), credentials: ADMIN };
  const ca = readFileSync(join(folder, "ca.pem"), "utf8");
  const asked = { ...env, AGENT_RUNTIME_ROCKETMQ_TLS: "true" };
  const right = { ...asked, AGENT_RUNTIME_ROCKETMQ_TLS_AUTHORITY: join(folder, "ca.pem") };
  await expect
    .poll(async () => (await diagnose(right)).findings.get("rocketmq, proxy"), {
      timeout: 120_000,
      interval: 500,
    })
    .toBeUndefined();
  expect(await passOne("changes-tls", { ...way, tls: { ca } })).toBe("hello");

  const other = { ...asked, AGENT_RUNTIME_ROCKETMQ_TLS_AUTHORITY: join(folder, "other.pem") };
  for (const wrong of [other, asked]) {
    const { code, findings } = await diagnose({
      ...wrong,
      AGENT_RUNTIME_ROCKETMQ_REQUEST_TIMEOUT_MS: "5000",
    });
    expect(code).toBe(1);
    expect(findings.get("rocketmq, proxy")).toMatchObject({
      found: expect.stringMatching(/certificate|issuer|signed/i),
      remedy: expect.stringContaining("tlsAuthority"),
    });
  }
});
