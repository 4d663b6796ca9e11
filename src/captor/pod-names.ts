import type { ContainerRecord } from "../containerd/records.ts";

/** Whose a container is, by the labels that Kubernetes' runtimes give it. */
export interface Belongs {
  readonly podUid: string;
  readonly podName: string;
  readonly namespace: string;
  /** Its name; null: it is the sandbox of the pod. */
  readonly container: string | null;
}

const MAX_LABELS = 128;
const POD = "io.kubernetes.pod.";
/** Added by the runtime and the kubelet. */
const NOT_OF_THE_POD = /^io\.(cri-containerd|kubernetes)\b/;

/** Null: it is no pod's. */
export function belongsOf({ labels }: ContainerRecord): Belongs | null {
  const kind = labels["io.cri-containerd.kind"];
  const container = labels["io.kubernetes.container.name"];
  const [podUid, podName, namespace] = ["uid", "name", "namespace"].map(
    (each) => labels[`${POD}${each}`],
  );
  if (podUid === undefined || podName === undefined || namespace === undefined) return null;
  if (kind === "sandbox") return { podUid, podName, namespace, container: null };
  if (container === undefined) return null;
  return { podUid, podName, namespace, container };
}

/** Those that somebody gave the pod: only the record of its sandbox has them. */
export function podLabels({ labels }: ContainerRecord): Record<string, string> {
  const own = Object.entries(labels).filter(([name]) => !NOT_OF_THE_POD.test(name));
  return Object.fromEntries(own.slice(0, MAX_LABELS));
}
