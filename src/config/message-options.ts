import { addresses, choice, file, integer, line, secretLine, toggle, topicName } from "./kinds.ts";
import { option, PREFER_VARIABLE, TEN_MINUTES_MS } from "./option.ts";

/** What carries changes out and updates in. */
export const MESSAGE_OPTIONS = {
  messages: option(choice(["none", "in-process", "rocketmq"]), {
    default: "none",
    sentence:
      "What carries changes out and updates in. `in-process` is for programs that use the library; it lives only as long as the process.",
  }),
  "rocketmq.endpoints": option(addresses(), {
    default: [],
    aliases: ["ROCKETMQ_ENDPOINTS"],
    sentence: "The gRPC addresses of the RocketMQ 5 proxies; any of them can answer for all.",
  }),
  "rocketmq.nameservers": option(addresses(), {
    default: [],
    aliases: ["ROCKETMQ_NAMESERVER_ADDRS"],
    sentence: "The RocketMQ name servers; used only by `topics create` and the doctor.",
  }),
  "rocketmq.accessKey": option(line(), {
    default: "",
    sentence:
      "The RocketMQ user, if access control (ACL 2.0) is on. Empty: no credentials are sent.",
  }),
  "rocketmq.secretKey": option(secretLine(), {
    default: "",
    secret: true,
    sentence: `The secret of \`rocketmq.accessKey\`. ${PREFER_VARIABLE}`,
  }),
  "rocketmq.tls": option(toggle(), {
    default: false,
    sentence: "Whether connections to the proxies are encrypted.",
  }),
  "rocketmq.tlsAuthority": option(file(), {
    default: "",
    sentence:
      "A PEM file with the authority that signed the proxies' certificate. Empty: the authorities that Node trusts.",
  }),
  "rocketmq.requestTimeoutMs": option(integer(1_000, TEN_MINUTES_MS), {
    default: 10_000,
    unit: "milliseconds",
    sentence: "How long one call may take; a receive may additionally wait for messages.",
  }),
  "rocketmq.queues": option(integer(1, 1_024), {
    default: 16,
    unit: "queues",
    sentence:
      "How many queues `topics create` gives each topic; this limits how many scopes consumers process in parallel.",
  }),
  "rocketmq.stateTopic": option(topicName(), {
    default: "agent_state_changes",
    aliases: ["ROCKETMQ_STATE_TOPIC"],
    sentence: "The topic that every committed change is sent to.",
  }),
  "rocketmq.updatesTopic": option(topicName(), {
    default: "agent_state_updates",
    sentence: "The topic that updates are received from.",
  }),
  "rocketmq.lifecycleTopic": option(topicName(), {
    default: "agent_lifecycle_events",
    sentence: "The topic that lifecycle facts are received from.",
  }),
  "rocketmq.taskTopic": option(topicName(), {
    default: "agent_task_ready",
    sentence: "The topic that tells workers that a task is ready.",
  }),
  "rocketmq.consumerGroup": option(topicName(), {
    default: "agent_state",
    aliases: ["ROCKETMQ_CONSUMER_GROUP"],
    sentence: "The consumer group in which the services share incoming updates.",
  }),
  "rocketmq.maxInlineBytes": option(integer(1_024, 256 * 1024), {
    default: 256 * 1024,
    unit: "bytes",
    sentence:
      "The largest message that includes its document; a larger one has only the version and the digest.",
  }),
  "rocketmq.sendConcurrency": option(integer(1, 1_024), {
    default: 64,
    unit: "messages",
    sentence: "How many changes are sent concurrently; never two of the same scope.",
  }),
  "rocketmq.sharePercent": option(integer(1, 100), {
    default: 20,
    unit: "percent",
    sentence:
      "The share of time spent on sending changes while writes are waiting for main; the rest is sent later from the log. 100 never lets any wait.",
  }),
};
