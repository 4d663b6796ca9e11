import { RocketmqError } from "../wire/answer.ts";
import { jsonOf } from "./frame.ts";
import type { Frame } from "./frame.ts";
import { ask } from "./remote.ts";
import type { Question, RemoteSettings } from "./remote.ts";

export interface AdminSettings extends RemoteSettings {
  /** `HOST:PORT` of the name servers; any of them answers for all. */
  readonly nameservers: readonly string[];
}

/** A topic as it should be, or as a broker has it. */
export interface TopicConfig {
  readonly name: string;
  readonly type: "FIFO" | "NORMAL";
  readonly queues: number;
}

/** A group of consumers as it should be, or as a broker has it. */
export interface GroupConfig {
  readonly name: string;
  /** Whether messages of one message group are delivered one after the other. */
  readonly isOrdered: boolean;
  /** How often a message is delivered again before it goes to the dead letters. */
  readonly retries: number;
}

/** A broker that takes messages. */
export interface BrokerAddress {
  readonly name: string;
  readonly cluster: string;
  readonly address: string;
}

const CODE = {
  updateTopic: 17,
  brokerRuntime: 28,
  clusterInfo: 106,
  updateGroup: 200,
  topicConfig: 351,
  groupConfig: 352,
} as const;
const SUCCESS = 0;
const NOT_FOUND: readonly number[] = [17, 26]; // the topic, the group
const READ_AND_WRITE = 6;

/** Looks at topics and groups, and makes them, on every broker of a cluster. */
export class RocketmqAdmin {
  readonly #settings: AdminSettings;

  constructor(settings: AdminSettings) {
    this.#settings = settings;
  }

  /** The brokers that take messages, of all clusters that the name servers know. */
  async brokers(): Promise<readonly BrokerAddress[]> {
    const { body } = await this.#askNameserver({ what: "The brokers", code: CODE.clusterInfo });
    const { brokerAddrTable } = jsonOf(body) as {
      readonly brokerAddrTable: Readonly<
        Record<string, { readonly cluster: string; readonly brokerAddrs: Record<string, string> }>
      >;
    };
    return Object.entries(brokerAddrTable).flatMap(([name, { cluster, brokerAddrs }]) => {
      const address = brokerAddrs["0"];
      return address === undefined ? [] : [{ name, cluster, address }];
    });
  }

  /** The topic as the broker has it; undefined where it has none. */
  async topic(broker: BrokerAddress, name: string): Promise<TopicConfig | undefined> {
    const question = { what: `Topic ${name}`, code: CODE.topicConfig, fields: { topic: name } };
    const found = await this.#find(broker, question);
    if (found === undefined) return undefined;
    const { topicConfig, ...flat } = found as Record<string, unknown>;
    const { attributes, writeQueueNums } = (topicConfig ?? flat) as {
      readonly attributes?: Readonly<Record<string, string>>;
      readonly writeQueueNums: number;
    };
    const type = attributes?.["message.type"] === "FIFO" ? "FIFO" : "NORMAL";
    return { name, type, queues: writeQueueNums };
  }

  /** The group as the broker has it; undefined where it has none. */
  async group(broker: BrokerAddress, name: string): Promise<GroupConfig | undefined> {
    const question = { what: `Group ${name}`, code: CODE.groupConfig, fields: { group: name } };
    const found = await this.#find(broker, question);
    if (found === undefined) return undefined;
    const { consumeMessageOrderly, retryMaxTimes } = found as {
      readonly consumeMessageOrderly: boolean;
      readonly retryMaxTimes: number;
    };
    return { name, isOrdered: consumeMessageOrderly, retries: retryMaxTimes };
  }

  /** Makes the topic, or changes it to this. */
  async putTopic(broker: BrokerAddress, { name, type, queues }: TopicConfig): Promise<void> {
    const fields = {
      topic: name,
      defaultTopic: "TBW102",
      readQueueNums: String(queues),
      writeQueueNums: String(queues), // the same: some clients fail otherwise
      perm: String(READ_AND_WRITE),
      topicFilterType: "SINGLE_TAG",
      topicSysFlag: "0",
      order: "false",
      attributes: `+message.type=${type}`,
    };
    const question = { what: `Creating topic ${name}`, code: CODE.updateTopic, fields };
    answered(question, await ask(broker.address, question, this.#settings));
  }

  /** Makes the group, or changes it to this. */
  async putGroup(broker: BrokerAddress, group: GroupConfig): Promise<void> {
    const { name, isOrdered, retries } = group;
    const config = {
      groupName: name,
      consumeEnable: true,
      consumeFromMinEnable: true,
      consumeBroadcastEnable: false,
      consumeMessageOrderly: isOrdered,
      retryQueueNums: 1,
      retryMaxTimes: retries,
      brokerId: 0,
      whichBrokerWhenConsumeSlowly: 1,
      notifyConsumerIdsChangedEnable: true,
      groupSysFlag: 0,
      consumeTimeoutMinute: 15,
      groupRetryPolicy: {
        type: "EXPONENTIAL",
        exponentialRetryPolicy: { initial: 1_000, max: 60_000, multiplier: 2 },
      },
    };
    const body = Buffer.from(JSON.stringify(config));
    const question = { what: `Creating group ${name}`, code: CODE.updateGroup, body };
    answered(question, await ask(broker.address, question, this.#settings));
  }

  /** What the broker says of itself: `brokerVersionDesc`, `commitLogDiskRatio` and many more. */
  async runtime(broker: BrokerAddress): Promise<Readonly<Record<string, string>>> {
    const question = { what: `Broker ${broker.name}`, code: CODE.brokerRuntime };
    const { body } = answered(question, await ask(broker.address, question, this.#settings));
    return (jsonOf(body) as { readonly table: Readonly<Record<string, string>> }).table;
  }

  async #find(broker: BrokerAddress, question: Question): Promise<unknown> {
    const answer = await ask(broker.address, question, this.#settings);
    if (NOT_FOUND.includes(answer.header.code)) return undefined;
    return jsonOf(answered(question, answer).body);
  }

  async #askNameserver(question: Question): Promise<Frame> {
    const [first = "", ...others] = this.#settings.nameservers;
    let answer = ask(first, question, this.#settings);
    for (const other of others) answer = answer.catch(() => ask(other, question, this.#settings));
    return answered(question, await answer);
  }
}

function answered({ what }: Question, frame: Frame): Frame {
  const { code, remark } = frame.header;
  if (code === SUCCESS) return frame;
  const message = `${what}: RocketMQ answered ${code}: ${remark ?? "no reason"}.`;
  throw new RocketmqError(code === 16 ? "FORBIDDEN" : "UNAVAILABLE", message, { answer: code });
}
