import { randomUUID } from "node:crypto";
import { inject, onTestFinished, type TestContext } from "vitest";
import { startRocketmq } from "../../dev/services/rocketmq.ts";
import type { Rocketmq, RocketmqAddress } from "../../dev/services/rocketmq.ts";
import { findParts } from "../../dev/services/tools.ts";
import { RocketmqAdmin } from "../../src/rocketmq/admin/admin.ts";
import type { BrokerAddress } from "../../src/rocketmq/admin/admin.ts";
import type { ConnectionSettings } from "../../src/rocketmq/settings.ts";
import { systemClock } from "../../src/service/clock.ts";
import { silentLog } from "../../src/service/log.ts";
import type { RocketmqFound } from "./services.ts";
import { until } from "./until.ts";

/** Long enough for a machine that does much else: no test is about how fast a JVM starts. */
export const ROCKETMQ_START_MS = 300_000;

/** The RocketMQ of this run, or why there is none; where that may not be (`CI=true`), it throws. */
export async function findRocketmq(): Promise<RocketmqFound> {
  const response = await fetch(inject("rocketmq").url);
  const text = await response.text();
  const found = response.ok ? (JSON.parse(text) as RocketmqFound) : { missing: text };
  if (!("missing" in found) || process.env["CI"] !== "true") return found;
  throw new Error(`no RocketMQ: ${found.missing}`);
}

/** The RocketMQ of this run; where it cannot be had, the test is skipped with the reason. */
export async function rocketmqOf(context: Pick<TestContext, "skip">): Promise<RocketmqAddress> {
  const found = await findRocketmq();
  return "missing" in found ? context.skip(`no RocketMQ: ${found.missing}`) : found;
}

/** A RocketMQ of the test's own, to be harmed; it ends with the test. Where it cannot be had, the test is skipped. */
export async function ownRocketmqOf(context: Pick<TestContext, "skip">): Promise<Rocketmq> {
  const { rocketmq: tools } = findParts();
  if (tools.missing !== undefined) {
    if (process.env["CI"] === "true") throw new Error(`no RocketMQ: ${tools.missing}`);
    return context.skip(`no RocketMQ: ${tools.missing}`);
  }
  const rocketmq = await startRocketmq({ tools });
  onTestFinished(() => rocketmq.stop());
  return rocketmq;
}

/** Settings of a service on it with topics and a group of its own: those of the names that begin with `own`. */
export function serviceOn(
  { endpoint, nameserver }: RocketmqAddress,
  own: string,
): Readonly<Record<string, string>> {
  return {
    AGENT_RUNTIME_MESSAGES: "rocketmq",
    AGENT_RUNTIME_ROCKETMQ_LIFECYCLE_TOPIC: `${own}-facts`,
    AGENT_RUNTIME_ROCKETMQ_UPDATES_TOPIC: `${own}-updates`,
    ROCKETMQ_CONSUMER_GROUP: `${own}-services`,
    ROCKETMQ_ENDPOINTS: endpoint,
    ROCKETMQ_NAMESERVER_ADDRS: nameserver,
    ROCKETMQ_STATE_TOPIC: `${own}-changes`,
  };
}

/** How tests speak with it. */
export function connectionTo({ endpoint }: RocketmqAddress): ConnectionSettings {
  const requestTimeoutMs = 30_000;
  return { endpoints: [endpoint], requestTimeoutMs, log: silentLog, clock: systemClock };
}

/** A topic and a group that nobody else uses, known to all members. */
export async function newTopic(
  address: RocketmqAddress,
  type: "FIFO" | "NORMAL" = "FIFO",
): Promise<{ readonly topic: string; readonly group: string }> {
  const name = `t-${randomUUID()}`;
  const admin = adminOf(address);
  const broker = await brokerOf(admin);
  await admin.putTopic(broker, { name, type, queues: 8 });
  await admin.putGroup(broker, { name, isOrdered: type === "FIFO", retries: 1_000 });
  return { topic: name, group: name };
}

export function adminOf({ nameserver }: RocketmqAddress): RocketmqAdmin {
  return new RocketmqAdmin({ nameservers: [nameserver], timeoutMs: 60_000 });
}

/** The broker, once the name server knows of it. */
export async function brokerOf(admin: RocketmqAdmin): Promise<BrokerAddress> {
  const brokers: BrokerAddress[] = [];
  const isThere = async (): Promise<boolean> => brokers.push(...(await admin.brokers())) > 0;
  await until(isThere, { what: "a broker that the name server knows", timeoutMs: 60_000 });
  return brokers[0]!;
}

/** Ends something with the test. */
export function closing<Closable extends { close(): Promise<void> }>(closable: Closable): Closable {
  onTestFinished(() => closable.close());
  return closable;
}
