import { randomUUID } from "node:crypto";
import { tmpdir } from "node:os";
import { Client, Metadata, credentials } from "@grpc/grpc-js";
import { IMAGE } from "./containerd.ts";
import { codecsOf } from "../../src/grpc/codec.ts";
import { methodAt } from "../../src/grpc/method.ts";
import type { Method } from "../../src/grpc/method.ts";

const codecOf = codecsOf({
  Empty: {},
  NamespaceOption: { network: ["int32", 1], pid: ["int32", 2], ipc: ["int32", 3] },
  SandboxSecurity: { namespaceOptions: ["NamespaceOption", 1] },
  LinuxSandbox: { cgroupParent: ["string", 1], securityContext: ["SandboxSecurity", 2] },
  SandboxMetadata: {
    name: ["string", 1],
    uid: ["string", 2],
    namespace: ["string", 3],
    attempt: ["uint32", 4],
  },
  Sandbox: {
    metadata: ["SandboxMetadata", 1],
    logDirectory: ["string", 3],
    labels: ["string{}", 6],
    linux: ["LinuxSandbox", 8],
  },
  RunPodSandbox: { config: ["Sandbox", 1], runtimeHandler: ["string", 2] },
  SandboxId: { podSandboxId: ["string", 1] },
  ContainerMetadata: { name: ["string", 1], attempt: ["uint32", 2] },
  Image: { image: ["string", 1] },
  Resources: { memoryLimitInBytes: ["int64", 4] },
  ContainerSecurity: { namespaceOptions: ["NamespaceOption", 3] },
  LinuxContainer: { resources: ["Resources", 1], securityContext: ["ContainerSecurity", 2] },
  Container: {
    metadata: ["ContainerMetadata", 1],
    image: ["Image", 2],
    command: ["string[]", 3],
    labels: ["string{}", 9],
    linux: ["LinuxContainer", 15],
  },
  CreateContainer: {
    podSandboxId: ["string", 1],
    config: ["Container", 2],
    sandboxConfig: ["Sandbox", 3],
  },
  ContainerId: { containerId: ["string", 1] },
  StopContainer: { containerId: ["string", 1], timeout: ["int64", 2] },
  ExecSync: { containerId: ["string", 1], cmd: ["string[]", 2], timeout: ["int64", 3] },
  ExecSyncAnswer: { stdout: ["bytes", 1], stderr: ["bytes", 2], exitCode: ["int32", 3] },
});

/** NODE, CONTAINER, POD: without a network of its own a pod needs no plugin for one. */
const NAMESPACES = { network: 2, pid: 1, ipc: 0 };
const DEADLINE_MS = 90_000;

/** What somebody wants of a pod. */
export interface PodWish {
  readonly name?: string;
  readonly uid?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly handler?: "kata" | "runc";
}

export interface ContainerWish {
  readonly name?: string;
  readonly command: readonly string[];
  readonly memoryBytes?: number;
  readonly attempt?: number;
}

/** Plays the kubelet of a node: a containerd's Container Runtime Interface. */
export class Cri {
  readonly #client: Client;
  readonly #cgroup: string;

  constructor({ socket, cgroup }: { readonly socket: string; readonly cgroup: string }) {
    this.#client = new Client(`unix:${socket}`, credentials.createInsecure(), {
      "grpc.initial_reconnect_backoff_ms": 50,
      "grpc.max_reconnect_backoff_ms": 500,
      "grpc.use_local_subchannel_pool": 1,
    });
    this.#cgroup = cgroup;
  }

  /** A pod whose sandbox runs. */
  async runPod(wish: PodWish = {}): Promise<CriPod> {
    const { name = "agent-7", uid = randomUUID(), labels = {}, handler = "kata" } = wish;
    const config = {
      metadata: { name, uid, namespace: "agents", attempt: 0 },
      logDirectory: tmpdir(),
      // The pod's own labels are given to the sandbox alone.
      labels: { ...labels, ...namesOf(name, uid) },
      linux: {
        cgroupParent: this.#cgroup,
        securityContext: { namespaceOptions: NAMESPACES },
      },
    };
    const answer = await this.call("RunPodSandbox", ["RunPodSandbox", "SandboxId"], {
      config,
      runtimeHandler: handler,
    });
    const { podSandboxId } = answer as { readonly podSandboxId: string };
    return new CriPod(this, { name, uid, sandboxId: podSandboxId, config });
  }

  call(name: string, types: readonly [string, string], request: object): Promise<object> {
    const [asked, answered] = types.map(codecOf);
    const path = `/runtime.v1.RuntimeService/${name}`;
    const method: Method = methodAt(path, { request: asked!, response: answered! });
    return new Promise((resolve, reject) => {
      this.#client.makeUnaryRequest(
        path,
        method.requestSerialize,
        method.responseDeserialize,
        request,
        new Metadata({ waitForReady: true }),
        { deadline: Date.now() + DEADLINE_MS },
        (error, answer) => (error === null ? resolve(answer ?? {}) : reject(error)),
      );
    });
  }

  close(): void {
    this.#client.close();
  }
}

interface PodPlace {
  readonly name: string;
  readonly uid: string;
  readonly sandboxId: string;
  readonly config: object;
}

/** A pod, as the kubelet holds it. */
export class CriPod {
  readonly name: string;
  readonly uid: string;
  readonly sandboxId: string;
  readonly #cri: Cri;
  readonly #config: object;
  readonly #containers: string[] = [];

  constructor(cri: Cri, { name, uid, sandboxId, config }: PodPlace) {
    this.name = name;
    this.uid = uid;
    this.sandboxId = sandboxId;
    this.#cri = cri;
    this.#config = config;
  }

  /** Starts a container; answers its id. */
  async run(wish: ContainerWish): Promise<string> {
    const { name = "main", command, memoryBytes = 0, attempt = 0 } = wish;
    const answer = await this.#cri.call("CreateContainer", ["CreateContainer", "ContainerId"], {
      podSandboxId: this.sandboxId,
      sandboxConfig: this.#config,
      config: {
        metadata: { name, attempt },
        image: { image: IMAGE },
        command,
        labels: { ...namesOf(this.name, this.uid), "io.kubernetes.container.name": name },
        linux: {
          resources: { memoryLimitInBytes: memoryBytes },
          securityContext: { namespaceOptions: NAMESPACES },
        },
      },
    });
    const { containerId } = answer as { readonly containerId: string };
    this.#containers.push(containerId);
    await this.#cri.call("StartContainer", ["ContainerId", "Empty"], { containerId });
    return containerId;
  }

  /** Runs a program beside the container's own, as probes and `preStop` do. */
  async exec(containerId: string, ...cmd: readonly string[]): Promise<number> {
    const request = { containerId, cmd, timeout: 60 };
    const answer = await this.#cri.call("ExecSync", ["ExecSync", "ExecSyncAnswer"], request);
    return (answer as { readonly exitCode: number }).exitCode;
  }

  /** SIGTERM, and after a grace period SIGKILL. */
  async stop(containerId: string, graceSeconds: number): Promise<void> {
    const request = { containerId, timeout: graceSeconds };
    await this.#cri.call("StopContainer", ["StopContainer", "Empty"], request);
  }

  /** Ends what still runs and removes all of it. */
  async remove(): Promise<void> {
    const sandbox = { podSandboxId: this.sandboxId };
    await this.stopSandbox();
    await this.removeContainers();
    await this.#cri.call("RemovePodSandbox", ["SandboxId", "Empty"], sandbox);
  }

  /** Ends what still runs; all of it stays there. */
  async stopSandbox(): Promise<void> {
    const sandbox = { podSandboxId: this.sandboxId };
    await this.#cri.call("StopPodSandbox", ["SandboxId", "Empty"], sandbox);
  }

  /** Ends and removes its containers; the sandbox stays. */
  async removeContainers(): Promise<void> {
    for (const containerId of this.#containers.splice(0)) {
      await this.#cri.call("RemoveContainer", ["ContainerId", "Empty"], { containerId });
    }
  }
}

function namesOf(name: string, uid: string): Record<string, string> {
  return {
    "io.kubernetes.pod.name": name,
    "io.kubernetes.pod.namespace": "agents",
    "io.kubernetes.pod.uid": uid,
  };
}
