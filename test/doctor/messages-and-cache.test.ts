import { randomUUID } from "node:crypto";
import { expect, test, vi } from "vitest";
import { serve } from "../server/serve.ts";
import { faceThat } from "../server/faces.ts";
import { adminOf as redisAdminOf, redisOf } from "../support/redis.ts";
import { adminOf, brokerOf, ROCKETMQ_START_MS, rocketmqOf } from "../support/rocketmq.ts";
import { run } from "../cli/fake-terminal.ts";
import { diagnose } from "./doctor.ts";

vi.setConfig({ testTimeout: ROCKETMQ_START_MS });

test("a RocketMQ without the topics and the group is named, and so is each that is not as it must be", async (context) => {
  const address = await rocketmqOf(context);
  const own = randomUUID();
  const [topic, group] = [`changes-${own}`, `service-${own}`];
  const env = {
    AGENT_RUNTIME_MESSAGES: "rocketmq",
    AGENT_RUNTIME_ROCKETMQ_QUEUES: "4",
    AGENT_RUNTIME_ROCKETMQ_UPDATES_TOPIC: `updates-${own}`,
    ROCKETMQ_ENDPOINTS: address.endpoint,
    ROCKETMQ_NAMESERVER_ADDRS: address.nameserver,
    ROCKETMQ_STATE_TOPIC: topic,
    ROCKETMQ_CONSUMER_GROUP: group,
  };
  const bare = await diagnose(env);
  expect(bare.code).toBe(1);
  expect(bare.findings.get("rocketmq, topics")).toMatchObject({
    found: expect.stringContaining(`has no topic ${topic}`),
    remedy: expect.stringContaining("topics create"),
  });
  expect(bare.findings.get("rocketmq, groups of consumers")?.found).toContain(`no group ${group}`);

  expect((await run(["state", "topics", "create"], { env })).code).toBe(0);
  // The proxy hears of a new topic a little later than the broker.
  await expect.poll(async () => [...(await diagnose(env)).findings], POLL).toEqual([]);

  const admin = adminOf(address);
  const broker = await brokerOf(admin);
  await admin.putGroup(broker, { name: group, isOrdered: false, retries: 1_000 });
  const unordered = await diagnose(env);
  expect(unordered.code).toBe(1);
  expect([...unordered.findings.keys()]).toEqual(["rocketmq, groups of consumers"]);
  expect(unordered.findings.get("rocketmq, groups of consumers")?.found).toContain(
    "is not ordered",
  );
  await admin.putGroup(broker, { name: group, isOrdered: true, retries: 16 });
  const impatient = await diagnose(env);
  expect(impatient.findings.get("rocketmq, groups of consumers")?.found).toContain(
    "after 16 tries",
  );

  const more = await diagnose({ ...env, AGENT_RUNTIME_ROCKETMQ_QUEUES: "8" });
  expect(more.findings.get("rocketmq, topics")?.found).toContain("has 4 queues, not 8");
  const plain = `plain-${own}`;
  await admin.putTopic(broker, { name: plain, type: "NORMAL", queues: 4 });
  const mixed = await diagnose({ ...env, ROCKETMQ_STATE_TOPIC: plain });
  expect(mixed.findings.get("rocketmq, topics")?.found).toContain("is NORMAL, not FIFO");
});

const POLL = { timeout: 120_000, interval: 500 };

test("a RocketMQ that is not there is named, with where to look", async () => {
  const { code, findings } = await diagnose({
    AGENT_RUNTIME_MESSAGES: "rocketmq",
    ROCKETMQ_ENDPOINTS: "127.0.0.1:1",
    ROCKETMQ_NAMESERVER_ADDRS: "127.0.0.1:1",
  });
  expect(code).toBe(1);
  expect([...findings.keys()]).toEqual(["rocketmq, proxy", "rocketmq, name server and brokers"]);
  expect(findings.get("rocketmq, proxy")?.remedy).toContain("rocketmq.endpoints");
});

test("a cache that is well is not spoken of; a command that is not allowed is, and one that is gone", async (context) => {
  const redis = await redisOf(context);
  const env = { DRAGONFLY_URL: redis.address.url, AGENT_RUNTIME_DRAGONFLY_PREFIX: "test:" };
  const well = await diagnose(env);
  expect([...well.findings]).toEqual([]);
  expect(well.code).toBe(0);
  const admin = await redisAdminOf(redis);
  const user = decodeURIComponent(new URL(redis.address.url).username);
  // The server has the script by now, so that a write would need no EVAL; after its next start it does.
  for (const command of ["get", "eval", "evalsha"]) {
    await admin.command("ACL", "SETUSER", user, `-${command}`);
    const { code, findings } = await diagnose(env);
    expect(code).toBe(1);
    const found = findings.get("dragonfly, commands")?.found;
    expect(found).toMatch(new RegExp(`^refused: ${command}: [^;]*NOPERM[^;]*$`, "i"));
    await admin.command("ACL", "SETUSER", user, `+${command}`);
  }
  await admin.command("SCRIPT", "FLUSH");
  await admin.command("ACL", "SETUSER", user, "-eval");
  expect((await diagnose(env)).findings.get("dragonfly, commands")?.found).toMatch(
    /^refused: EVAL: [^;]*$/,
  );
  const gone = await diagnose({ DRAGONFLY_URL: "redis://127.0.0.1:1" });
  expect([...gone.findings.keys()]).toEqual(["dragonfly, reachable"]);
});

test("a service tells how it sees its parts; one that does not answer is a fault", async () => {
  const parts = {
    main: { health: "ok" },
    readonly: { health: "not in use", reason: "it lags" },
    rollback: { health: "behind" },
    messages: { health: "off" },
  };
  const served = await serve(faceThat({}), { info: () => ({ parts }) });
  const { code, findings } = await diagnose({}, ["--url", served.url]);
  await served.close();
  expect(code).toBe(1);
  expect([...findings.values()].map(({ part, level, found }) => [part, level, found])).toEqual([
    ["readonly", "fault", "not in use: it lags"],
    ["rollback", "advice", "behind"],
  ]);
  const silent = await diagnose({}, ["--url", served.url]);
  expect([...silent.findings.keys()]).toEqual(["service, reachable"]);
});

test("people get a table, and below it what was found and what to do", async () => {
  const env = { SUPABASE_MAIN_URL: "postgres://a@127.0.0.1:1/b" };
  const { code, stdout, stderr } = await run(["state", "doctor"], { env, columns: 100 });
  expect(code).toBe(1);
  expect(stdout).toMatch(/^PART +CHECK +RESULT\nmain +reachable +FAULT\n/);
  expect(stdout).toContain("main, reachable: FAULT\n  found: The database cannot be reached");
  expect(stdout).toMatch(/\n {2}do: {4}see that it runs/);
  expect(stderr).toContain("1 of 1 checks found a fault");
});
