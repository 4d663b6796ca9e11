import type { Config } from "../config/options.ts";
import { examine, fault, verdictOf } from "../doctor/check.ts";
import type { Verdict } from "../doctor/check.ts";
import { groups } from "../doctor/checks/groups.ts";
import { topics } from "../doctor/checks/topics.ts";
import type { BrokerFacts, RocketmqWanted } from "../doctor/facts.ts";
import { RocketmqAdmin } from "../rocketmq/admin/admin.ts";
import type { BrokerAddress } from "../rocketmq/admin/admin.ts";
import { askRoute } from "../rocketmq/ask-route.ts";
import { silentLog } from "../service/log.ts";
import { AgentRuntimeError } from "../state/errors.ts";
import { connectionOf, credentialsOf, groupsOf, topicsOf } from "./rocketmq.ts";

const PART = "rocketmq";

/** Looks at a RocketMQ: its proxy as clients see it, its brokers as their administrator does. */
export async function examineRocketmq({ rocketmq }: Config): Promise<Verdict[]> {
  const proxy = askRoute(connectionOf(rocketmq, silentLog), rocketmq.stateTopic);
  const seen = await attempt("proxy", proxy, {
    remedy:
      "see that it runs, that rocketmq.endpoints has its gRPC port, and that rocketmq.accessKey, secretKey, tls and tlsAuthority are what it wants",
  });
  if (rocketmq.nameservers.length === 0) return seen;
  const { nameservers, requestTimeoutMs: timeoutMs } = rocketmq;
  const admin = new RocketmqAdmin({ nameservers, timeoutMs, ...credentialsOf(rocketmq) });
  const wanted = {
    topics: topicsOf(rocketmq),
    groups: groupsOf({ ...rocketmq, ownGroups: [] }),
  };
  try {
    const brokers = await admin.brokers();
    if (brokers.length === 0) return [...seen, noBroker()];
    const known = await Promise.all(brokers.map((broker) => look(admin, broker, wanted)));
    return [
      ...seen,
      verdictOf(PART, "name server and brokers", null),
      ...examine(PART, { brokers: known, wanted }, [topics, groups]),
    ];
  } catch (error) {
    return [...seen, ...(await attempt("name server and brokers", Promise.reject(asError(error))))];
  }
}

async function look(
  admin: RocketmqAdmin,
  broker: BrokerAddress,
  wanted: RocketmqWanted,
): Promise<BrokerFacts> {
  const topicsThere = await Promise.all(wanted.topics.map(({ name }) => admin.topic(broker, name)));
  const groupsThere = await Promise.all(wanted.groups.map(({ name }) => admin.group(broker, name)));
  return { name: broker.name, topics: byName(topicsThere), groups: byName(groupsThere) };
}

function byName<Named extends { readonly name: string }>(
  found: readonly (Named | undefined)[],
): ReadonlyMap<string, Named> {
  const known = found.filter((one) => one !== undefined);
  return new Map(known.map((one) => [one.name, one]));
}

function noBroker(): Verdict {
  const trouble = fault(
    "the name server knows of no broker",
    "see that a broker runs, and that its namesrvAddr is this name server",
  );
  return verdictOf(PART, "name server and brokers", trouble);
}

/** Whether something works; what it says where it does not is what was found. */
async function attempt(
  check: string,
  work: Promise<unknown>,
  { remedy = "see that it runs, and that rocketmq.nameservers and the credentials are right" } = {},
): Promise<Verdict[]> {
  try {
    await work;
    return [verdictOf(PART, check, null)];
  } catch (error) {
    if (!(error instanceof AgentRuntimeError)) throw error;
    return [verdictOf(PART, check, fault(error.message, remedy))];
  }
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
