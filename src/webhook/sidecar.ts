import type { Json, JsonObject } from "../state/json.ts";
import type { PodShape } from "./pod-shape.ts";

/** How the sidecar is made. */
export interface SidecarSettings {
  readonly image: string;
  readonly pullPolicy: string;
  readonly port: number;
  readonly to: "service" | "rocketmq";
  readonly url: string;
  readonly namespace: string;
  readonly secret: string;
  readonly spoolMiB: number;
  readonly memoryMiB: number;
  readonly cpuMillis: number;
}

/** By this name its own life decides nothing of its pod. */
export const SIDECAR = "agentruntime-hook";
/** The volume for facts that wait. */
export const SPOOL = "agentruntime-spool";
/** The sidecar's port is found by this name. */
export const PORT_NAME = "agent-hook";

/** What the labels of a pod mean here, as variables of its containers. */
const NAMED = {
  AGENT_ID: "agentruntime.dev/agent",
  AGENT_CONTAINER: "agentruntime.dev/container",
  AGENT_WORKER: "agentruntime.dev/worker",
} as const;

const WHO = {
  POD_UID: "metadata.uid",
  POD_NAME: "metadata.name",
  POD_NAMESPACE: "metadata.namespace",
  NODE_NAME: "spec.nodeName",
} as const;

/** An id that no group or user of an image has. */
const NOBODY = 65_532;

/** Variables that say which pod, and whose; an annotation says it where a label cannot: ids may be longer. */
export function downwardVariables({ labels, annotations }: PodShape): readonly JsonObject[] {
  const of = (name: string, fieldPath: string): JsonObject => ({
    name,
    valueFrom: { fieldRef: { fieldPath } },
  });
  const named = Object.entries(NAMED).flatMap(([name, key]) => {
    const where = key in labels ? "labels" : key in annotations ? "annotations" : null;
    return where === null ? [] : [of(name, `metadata.${where}['${key}']`)];
  });
  return [...Object.entries(WHO).map(([name, path]) => of(name, path)), ...named];
}

/** The container that answers the hooks of the others. */
export function sidecarOf(pod: PodShape, port: number, settings: SidecarSettings): JsonObject {
  const { image, pullPolicy, secret, memoryMiB, cpuMillis } = settings;
  return {
    name: SIDECAR,
    image,
    imagePullPolicy: pullPolicy,
    // Runs beside the others, and ends after them.
    restartPolicy: "Always",
    args: argumentsOf(port, settings),
    env: [...downwardVariables(pod)],
    ...(secret === "" ? {} : { envFrom: [{ secretRef: { name: secret } }] }),
    ports: [{ name: PORT_NAME, containerPort: port, protocol: "TCP" }],
    // The others start when it answers: a postStart that finds nobody would kill its container.
    startupProbe: { httpGet: { path: "/healthz", port }, periodSeconds: 1, failureThreshold: 120 },
    livenessProbe: { httpGet: { path: "/healthz", port }, periodSeconds: 20, failureThreshold: 3 },
    resources: {
      requests: { cpu: `${cpuMillis}m`, memory: `${Math.ceil(memoryMiB / 2)}Mi` },
      limits: { memory: `${memoryMiB}Mi` },
    },
    securityContext: {
      runAsUser: NOBODY,
      runAsGroup: NOBODY,
      runAsNonRoot: true,
      readOnlyRootFilesystem: true,
      allowPrivilegeEscalation: false,
      capabilities: { drop: ["ALL"] },
      seccompProfile: { type: "RuntimeDefault" },
    },
    volumeMounts: [{ name: SPOOL, mountPath: "/spool" }],
  };
}

function argumentsOf(port: number, { to, url, namespace }: SidecarSettings): Json[] {
  return [
    "hook",
    "--listen",
    `0.0.0.0:${port}`,
    "--spool",
    "/spool/facts",
    ...(to === "service" ? ["--url", url] : ["--to", "rocketmq"]),
    ...(namespace === "" ? [] : ["--namespace", namespace]),
  ];
}

/** Where facts wait; what the pod has by that name already is taken instead. */
export function spoolVolume({ spoolMiB }: SidecarSettings): JsonObject {
  return { name: SPOOL, emptyDir: { sizeLimit: `${spoolMiB}Mi` } };
}
