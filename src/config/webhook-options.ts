import { address, choice, file, integer, line } from "./kinds.ts";
import { option } from "./option.ts";

/** Of `agent_runtime webhook`, which puts the sidecar for hooks into pods. */
export const WEBHOOK_OPTIONS = {
  "webhook.listen": option(address(), {
    default: "0.0.0.0:8443",
    sentence: "Where the API server finds the webhook, over TLS; port 0 picks a free one.",
  }),
  "webhook.certFile": option(file(), {
    default: "",
    sentence: "The certificate of the webhook (PEM, with what leads to its authority).",
  }),
  "webhook.keyFile": option(file(), {
    default: "",
    sentence: "The private key of that certificate (PEM).",
  }),
  "webhook.reloadMs": option(integer(100, 3_600_000), {
    default: 10_000,
    unit: "milliseconds",
    sentence:
      "How often the two files are looked at; another pair in them is taken without a stop.",
  }),
  "webhook.statusListen": option(address(), {
    default: "127.0.0.1:8088",
    sentence:
      "Where the webhook serves `/healthz`, `/readyz` and `/metrics`, without TLS; port 0 picks a free one.",
  }),
  "webhook.image": option(line(), {
    default: "",
    sentence: "The image of the sidecar: that of this program.",
  }),
  "webhook.pullPolicy": option(choice(["IfNotPresent", "Always", "Never"]), {
    default: "IfNotPresent",
    sentence: "When a node pulls that image.",
  }),
  "webhook.port": option(integer(1_024, 65_535), {
    default: 8_087,
    sentence:
      "The port of the sidecar in its pod; where a container of the pod declares it, the next free one.",
  }),
  "webhook.to": option(choice(["service", "rocketmq"]), {
    default: "service",
    sentence: "Where the sidecar sends facts: to the service, or past it to RocketMQ.",
  }),
  "webhook.url": option(line(), {
    default: "http://agent-runtime-state:8080",
    sentence: "The service, as the pods of agents reach it.",
  }),
  "webhook.namespace": option(line(), {
    default: "",
    sentence: "The namespace of the states of pods. Empty: that of the token, or `default`.",
  }),
  "webhook.secret": option(line(), {
    default: "",
    sentence:
      "A Secret in the namespace of the pod whose keys become variables of the sidecar, such as `AGENT_RUNTIME_TOKEN`. Empty: none.",
  }),
  "webhook.spoolMiB": option(integer(1, 65_536), {
    default: 128,
    unit: "MiB",
    sentence: "The room on disk for facts that wait in the sidecar.",
  }),
  "webhook.memoryMiB": option(integer(64, 65_536), {
    default: 192,
    unit: "MiB",
    sentence: "The memory that the sidecar may use; half of it is requested.",
  }),
  "webhook.cpuMillis": option(integer(1, 64_000), {
    default: 20,
    unit: "thousandths of a processor",
    sentence: "The processor time that is requested for the sidecar; it has no limit.",
  }),
};
