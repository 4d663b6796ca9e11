import { mkdir, readFile, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { OwnContainerd } from "../../dev/services/containerd.ts";
import { freePort } from "../../dev/services/free-port.ts";
import type { Program } from "../../dev/services/program.ts";
import type { ClusterTools } from "../../scripts/cluster-parts.d.mts";
import { until } from "../support/until.ts";
import type { ClusterApi } from "./cluster-api.ts";
import type { OwnCluster } from "./cluster.ts";

/** Below which the cluster names its Services. */
const DOMAIN = "cluster.local";
type NodePrograms = Pick<ClusterTools, "kubelet" | "proxy" | "dns">;

/** The node of a real kubelet. */
export const REAL_NODE = "node-2";

interface NodeObject {
  readonly status: {
    readonly conditions?: readonly { readonly type: string; readonly status: string }[];
  };
}

interface PodName {
  readonly metadata: { readonly namespace: string; readonly name: string; readonly uid: string };
}

/** A node of a cluster: a kubelet on a containerd of its own, in namespaces of their own. */
export class OwnNode {
  readonly containerd: OwnContainerd;
  readonly #cluster: OwnCluster;
  readonly #tools: NodePrograms;
  readonly #folder: string;
  #kubelet: Program | undefined;

  constructor(tools: NodePrograms, cluster: OwnCluster, containerd: OwnContainerd) {
    this.#tools = tools;
    this.#cluster = cluster;
    this.containerd = containerd;
    this.#folder = join(cluster.folder, "kubelet");
  }

  /** Starts the kubelet, or starts it again: its pods have gone on. Resolves when the node is ready. */
  async start(): Promise<void> {
    await mkdir(this.#folder, { recursive: true });
    await makeGroups(this.containerd.cgroup);
    await writeFile(this.#configFile, JSON.stringify(await this.#config()));
    this.#kubelet = this.containerd.run(
      [
        this.#tools.kubelet,
        `--config=${this.#configFile}`,
        `--kubeconfig=${this.#cluster.kubeconfigFile}`,
        `--root-dir=${join(this.#folder, "root")}`,
        `--cert-dir=${join(this.#folder, "certs")}`,
        `--hostname-override=${REAL_NODE}`,
        `--node-ip=${this.containerd.network.node}`,
      ],
      "kubelet",
    );
    await Promise.race([this.untilIs("True"), this.#kubelet.output()]);
  }

  /** Starts what lets pods find each other: Services by their names, and their pods behind them. */
  async startServices(): Promise<void> {
    const { kubeconfigFile } = this.#cluster;
    const { node, pods } = this.containerd.network;
    const corefile = join(this.#folder, "Corefile");
    await writeFile(
      corefile,
      `${DOMAIN} {
        bind ${node}
        kubernetes ${DOMAIN} {
          kubeconfig ${kubeconfigFile}
        }
      }`,
    );
    const dns = this.containerd.run([this.#tools.dns, "-conf", corefile], "coredns");
    const proxy = this.containerd.run(
      [
        this.#tools.proxy,
        `--kubeconfig=${kubeconfigFile}`,
        `--hostname-override=${REAL_NODE}`,
        `--cluster-cidr=${pods}`,
        "--conntrack-max-per-core=0",
      ],
      "kube-proxy",
    );
    await dns.says(/CoreDNS-/);
    await proxy.says(/Caches are synced/);
  }

  /** Ends the kubelet as a crash does; its pods go on. */
  async kill(): Promise<void> {
    await this.#signal("SIGKILL");
    await this.#kubelet?.ended;
  }

  /** Stops the kubelet where it stands. */
  freeze(): Promise<void> {
    return this.#signal("SIGSTOP");
  }

  thaw(): Promise<void> {
    return this.#signal("SIGCONT");
  }

  /** What a container of a pod wrote so far, all of its runs. */
  async logOf(pod: PodName, container: string): Promise<string> {
    const { namespace, name, uid } = pod.metadata;
    const folder = join(this.#logs, `${namespace}_${name}_${uid}`, container);
    const files = await readdir(folder).catch(() => []);
    const texts = await Promise.all(files.map((file) => readFile(join(folder, file), "utf8")));
    return texts.join("");
  }

  /** Waits until the cluster says of the node that it is ready, is not, or that nobody knows. */
  async untilIs(wanted: "True" | "False" | "Unknown"): Promise<void> {
    const api = await this.#cluster.api();
    await until(async () => (await readiness(api)) === wanted, {
      what: `the node ready: ${wanted}`,
    });
  }

  #signal(name: NodeJS.Signals): Promise<void> {
    return this.containerd.signal([`--config=${this.#configFile}`], name);
  }

  get #configFile(): string {
    return join(this.#folder, "config.json");
  }

  get #logs(): string {
    return join(this.#folder, "logs");
  }

  /** Quick in what it says of itself, and without all that only the whole machine has. */
  async #config(): Promise<object> {
    const nothing = ["memory.available", "nodefs.available", "imagefs.available"];
    return {
      kind: "KubeletConfiguration",
      apiVersion: "kubelet.config.k8s.io/v1beta1",
      authentication: { anonymous: { enabled: false }, webhook: { enabled: false } },
      authorization: { mode: "AlwaysAllow" },
      address: this.containerd.network.node,
      port: await freePort(),
      healthzPort: 0,
      containerRuntimeEndpoint: `unix://${this.containerd.socket}`,
      podLogsDir: this.#logs,
      resolvConf: "",
      clusterDNS: [this.containerd.network.node],
      clusterDomain: DOMAIN,
      nodeStatusUpdateFrequency: "1s",
      nodeLeaseDurationSeconds: 4,
      syncFrequency: "2s",
      crashLoopBackOff: { maxContainerRestartPeriod: "2s" },
      featureGates: { KubeletInUserNamespace: true, KubeletCrashLoopBackOffMax: true },
      cgroupDriver: "cgroupfs",
      cgroupRoot: this.containerd.cgroup,
      cgroupsPerQOS: false,
      enforceNodeAllocatable: [],
      failCgroupV1: false,
      failSwapOn: false,
      oomScoreAdj: 0,
      makeIPTablesUtilChains: false,
      evictionHard: Object.fromEntries(nothing.map((signal) => [signal, "0%"])),
      imageGCHighThresholdPercent: 100,
    };
  }
}

async function readiness(api: ClusterApi): Promise<string | undefined> {
  const node = await api.find<NodeObject>(`/api/v1/nodes/${REAL_NODE}`);
  return node?.status.conditions?.find(({ type }) => type === "Ready")?.status;
}

/** Below which containers get theirs; nobody else makes it. */
async function makeGroups(name: string): Promise<void> {
  const at = "/sys/fs/cgroup";
  const all = await readdir(at, { withFileTypes: true });
  const isUnified = all.some((entry) => entry.name === "cgroup.controllers");
  const hierarchies = all.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
  for (const each of isUnified ? [""] : hierarchies) {
    await mkdir(join(at, each, name), { recursive: true });
  }
}
