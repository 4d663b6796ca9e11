import { addresses, choice, file, integer, line, toggle, topicName } from "./kinds.ts";
import { option, PREFER_VARIABLE, TEN_MINUTES_MS } from "./option.ts";

/** What carries changes out and updates in. */
export const MESSAGE_OPTIONS = {
  messages: option(choice(["none", "in-process", "rocketmq"]), {
    default: "none",
    sentence:
      "What carries changes out and updates in. `in-process` is for programs that use the library: it ends with the process.",
  }),
  "rocketmq.endpoints": option(addresses(), {
    default: [],
    aliases: ["ROCKETMQ_ENDPOINTS"],
    sentence: "The proxies of a RocketMQ 5, by their gRPC port; any of them answers for all.",
  }),
  "rocketmq.nameservers": option(addresses(), {
    default: [],
    aliases: ["ROCKETMQ_NAMESERVER_ADDRS"],
    sentence: "Its name servers; only `topics create` asks them.",
  }),
  "rocketmq.accessKey": option(line(), {
    default: "",
    sentence: "The user, where its access is controlled (ACL 2.0). Empty: anybody may.",
  }),
  "rocketmq.secretKey": option(line(), {
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
      "The file, in PEM, of the authority that signed the proxies' certificate. Empty: those that Node trusts.",
  }),
  "rocketmq.requestTimeoutMs": option(integer(1_000, TEN_MINUTES_MS), {
    default: 10_000,
    unit: "milliseconds",
    sentence: "How long one call may take; a receive may also wait for messages.",
  }),
  "rocketmq.queues": option(integer(1, 1_024), {
    default: 16,
    unit: "queues",
    sentence:
      "How many queues `topics create` gives a topic: consumers work on so many scopes side by side at most.",
  }),
  "rocketmq.stateTopic": option(topicName(), {
    default: "agent_state_changes",
    aliases: ["ROCKETMQ_STATE_TOPIC"],
    sentence: "The topic that every committed change is sent to.",
  }),
  "rocketmq.updatesTopic": option(topicName(), {
    default: "agent_state_updates",
    sentence: "The topic that updates come in from.",
  }),
  "rocketmq.lifecycleTopic": option(topicName(), {
    default: "agent_lifecycle_events",
    sentence: "The topic that lifecycle facts come in from.",
  }),
  "rocketmq.consumerGroup": option(topicName(), {
    default: "agent_state",
    aliases: ["ROCKETMQ_CONSUMER_GROUP"],
    sentence: "The group in which the services share the updates that come in.",
  }),
  "rocketmq.maxInlineBytes": option(integer(1_024, 256 * 1024), {
    default: 256 * 1024,
    unit: "bytes",
    sentence:
      "The largest message that carries its document; a larger one carries the digest and the version.",
  }),
  "rocketmq.sendConcurrency": option(integer(1, 1_024), {
    default: 64,
    unit: "messages",
    sentence: "How many changes are sent side by side; of one scope never two.",
  }),
  "rocketmq.sharePercent": option(integer(1, 100), {
    default: 20,
    unit: "percent",
    sentence:
      "The part of the time in which changes are sent while writes wait for main: what is left then waits in the log; 100 never leaves any behind.",
  }),
};
