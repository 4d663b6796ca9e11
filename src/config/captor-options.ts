import { address, file, integer, line, pattern } from "./kinds.ts";
import { option } from "./option.ts";

/** Of `agent_runtime captor`, which follows the container runtime of a node. */
export const CAPTOR_OPTIONS = {
  "captor.containerd": option(file(), {
    default: "/run/containerd/containerd.sock",
    sentence: "The socket of the node's containerd.",
  }),
  "captor.runtimes": option(pattern(), {
    default: "^io\\.containerd\\.kata",
    sentence: "Which runtimes to report, matched against containerd's name of the runtime.",
  }),
  "captor.node": option(line(), {
    default: "",
    aliases: ["NODE_NAME"],
    sentence: "The node's name in Kubernetes. Empty: the host name.",
  }),
  "captor.relistMs": option(integer(1_000, 3_600_000), {
    default: 60_000,
    unit: "milliseconds",
    sentence: "How often the node is listed again, because containerd's event bus can lose events.",
  }),
  "captor.listen": option(address(), {
    default: "127.0.0.1:8088",
    sentence:
      "Where the captor serves `/healthz`, `/readyz` and `/metrics`; port 0 picks a free one.",
  }),
};
