import { readFileSync } from "node:fs";
import type { Config } from "../config/options.ts";
import { RocketmqAdmin } from "../rocketmq/admin/admin.ts";
import type { BrokerAddress, GroupConfig, TopicConfig } from "../rocketmq/admin/admin.ts";
import { RocketmqBus } from "../rocketmq/bus.ts";
import type { ConnectionSettings, TlsSettings } from "../rocketmq/settings.ts";
import { systemClock } from "../service/clock.ts";
import type { Logger } from "../service/log-port.ts";
import { AgentRuntimeError } from "../state/errors.ts";

type RocketmqConfig = Config["rocketmq"];

/** The bus of a configuration that names a RocketMQ. */
export function openRocketmqBus({ rocketmq }: Config, log: Logger): RocketmqBus {
  return new RocketmqBus(connectionOf(rocketmq, log));
}

/** What `topics create` found and did. */
export interface PreparedTopics {
  readonly brokers: readonly string[];
  /** `topic NAME` and `group NAME`, as they are on every broker now. */
  readonly made: readonly string[];
  readonly kept: readonly string[];
}

/** Makes what the service needs on every broker; what is right already stays as it is. Safe twice. */
export async function prepareTopics(
  { rocketmq }: Config,
  ownGroups: readonly string[] = [],
): Promise<PreparedTopics> {
  if (rocketmq.nameservers.length === 0) {
    throw new AgentRuntimeError(
      "INVALID_CONFIG",
      "nothing says where RocketMQ's name server is: set rocketmq.nameservers (or ROCKETMQ_NAMESERVER_ADDRS)",
    );
  }
  const { nameservers, requestTimeoutMs: timeoutMs } = rocketmq;
  const admin = new RocketmqAdmin({ nameservers, timeoutMs, ...credentialsOf(rocketmq) });
  const brokers = await admin.brokers();
  if (brokers.length === 0) {
    throw new AgentRuntimeError("UNAVAILABLE", "RocketMQ's name server knows of no broker yet");
  }
  const made = new Set<string>();
  const kept = new Set<string>();
  for (const broker of brokers) {
    const wanted = { ...rocketmq, ownGroups };
    for (const [name, isNew] of await prepareBroker(admin, broker, wanted)) {
      (isNew ? made : kept).add(name);
    }
  }
  return {
    brokers: brokers.map(({ name }) => name),
    made: [...made],
    kept: [...kept].filter((name) => !made.has(name)),
  };
}

/** Groups of users' own consumers. */
interface OwnGroups {
  readonly ownGroups: readonly string[];
}

/** For each thing that a broker needs, whether it had to be made. */
async function prepareBroker(
  admin: RocketmqAdmin,
  broker: BrokerAddress,
  rocketmq: RocketmqConfig & OwnGroups,
): Promise<readonly (readonly [string, boolean])[]> {
  const done: [string, boolean][] = [];
  for (const topic of topicsOf(rocketmq)) {
    const found = await admin.topic(broker, topic.name);
    // More queues than asked for are somebody's wish; fewer would lose messages that wait in them.
    const isRight = found?.type === topic.type && found.queues >= topic.queues;
    if (!isRight) await admin.putTopic(broker, topic);
    done.push([`topic ${topic.name}`, !isRight]);
  }
  for (const group of groupsOf(rocketmq)) {
    const found = await admin.group(broker, group.name);
    const isRight = found?.isOrdered === true && found.retries >= group.retries;
    if (!isRight) await admin.putGroup(broker, group);
    done.push([`group ${group.name}`, !isRight]);
  }
  return done;
}

/** The topics that a configuration names. */
export function topicsOf({
  stateTopic,
  updatesTopic,
  lifecycleTopic,
  taskTopic,
  queues,
}: RocketmqConfig): readonly TopicConfig[] {
  const inOrder = [stateTopic, updatesTopic, lifecycleTopic];
  return [
    ...inOrder.map((name): TopicConfig => ({ name, type: "FIFO", queues })),
    { name: taskTopic, type: "NORMAL", queues },
  ];
}

/** Who takes lifecycle facts in: a group of RocketMQ reads one set of topics. */
export function lifecycleGroup({ consumerGroup }: Pick<RocketmqConfig, "consumerGroup">): string {
  return `${consumerGroup}_lifecycle`;
}

/** What cannot be applied is parked in the database, so RocketMQ is not to give up before that. */
export function groupsOf(rocketmq: RocketmqConfig & OwnGroups): readonly GroupConfig[] {
  const groups = [rocketmq.consumerGroup, lifecycleGroup(rocketmq), ...rocketmq.ownGroups];
  return groups.map((name) => ({
    name,
    isOrdered: true,
    retries: 1_000,
  }));
}

/** How a configuration speaks with RocketMQ. */
export function connectionOf(rocketmq: RocketmqConfig, log: Logger): ConnectionSettings {
  const { endpoints, requestTimeoutMs } = rocketmq;
  const security = { ...credentialsOf(rocketmq), ...tlsOf(rocketmq) };
  return { endpoints, requestTimeoutMs, ...security, log, clock: systemClock };
}

/** As whom. */
export function credentialsOf({
  accessKey,
  secretKey,
}: RocketmqConfig): Pick<ConnectionSettings, "credentials"> {
  return accessKey === "" ? {} : { credentials: { accessKey, secretKey } };
}

function tlsOf({ tls, tlsAuthority }: RocketmqConfig): { readonly tls?: TlsSettings } {
  if (!tls) return {};
  if (tlsAuthority === "") return { tls: {} };
  try {
    return { tls: { ca: readFileSync(tlsAuthority, "utf8") } };
  } catch (error) {
    const message = `rocketmq.tlsAuthority: ${tlsAuthority} cannot be read`;
    throw new AgentRuntimeError("INVALID_CONFIG", message, { cause: error });
  }
}
