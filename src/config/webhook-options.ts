import { address, choice, file, integer, line } from "./kinds.ts";
import { option } from "./option.ts";

/** Of `agent_runtime webhook`, which puts the sidecar for hooks into pods. */
export const WEBHOOK_OPTIONS = {
  "webhook.listen": option(address(), {
    default: "0.0.0.0:8443",
    sentence: "Where the webhook listens for the API server, over TLS; port 0 picks a free one.",
  }),
  "webhook.certFile": option(file(), {
    default: "",
    sentence: "The webhook's certificate (PEM, with its intermediate certificates).",
  }),
  "webhook.keyFile": option(file(), {
    default: "",
    sentence: "The certificate's private key (PEM).",
  }),
  "webhook.reloadMs": option(integer(100, 3_600_000), {
    default: 10_000,
    unit: "milliseconds",
    sentence: "How often the two files are checked; a new pair is used without a restart.",
  }),
  "webhook.statusListen": option(address(), {
    default: "127.0.0.1:8088",
    sentence:
      "Where the webhook serves `/healthz`, `/readyz` and `/metrics`, without TLS; port 0 picks a free one.",
  }),
  "webhook.image": option(line(), {
    default: "",
    sentence: "The sidecar's image, which contains this program.",
  }),
  "webhook.pullPolicy": option(choice(["IfNotPresent", "Always", "Never"]), {
    default: "IfNotPresent",
    sentence: "When a node pulls that image.",
  }),
  "webhook.port": option(integer(1_024, 65_535), {
    default: 8_087,
    sentence:
      "The sidecar's port in its pod; if a container of the pod declares it already, the next free one.",
  }),
  "webhook.to": option(choice(["service", "rocketmq"]), {
    default: "service",
    sentence: "Where the sidecar sends facts: to the service, or directly to RocketMQ.",
  }),
  "webhook.url": option(line(), {
    default: "http://agent-runtime-state:8080",
    sentence: "The address at which agents' pods reach the service.",
  }),
  "webhook.namespace": option(line(), {
    default: "",
    sentence: "The namespace for the states of pods. Empty: the token's namespace, or `default`.",
  }),
  "webhook.secret": option(line(), {
    default: "",
    sentence:
      "A Secret in the pod's namespace whose keys become the sidecar's environment variables, such as `AGENT_RUNTIME_TOKEN`. Empty: none.",
  }),
  "webhook.spoolMiB": option(integer(1, 65_536), {
    default: 128,
    unit: "MiB",
    sentence: "The disk space for facts that wait in the sidecar.",
  }),
  "webhook.memoryMiB": option(integer(64, 65_536), {
    default: 192,
    unit: "MiB",
    sentence: "The sidecar's memory limit; half of it is requested.",
  }),
  "webhook.cpuMillis": option(integer(1, 64_000), {
    default: 20,
    unit: "thousandths of a processor",
    sentence: "The CPU requested for the sidecar; it has no limit.",
  }),
};
