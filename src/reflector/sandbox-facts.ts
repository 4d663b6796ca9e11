import type { Desired, LifecycleFact } from "../state/lifecycle-fact.ts";
import { AGENT_LABEL, shortKey } from "./kind.ts";
import type { Kind } from "./kind.ts";
import { ownLabels } from "./pod-facts.ts";
import type { PodIdentity } from "./pod-facts.ts";
import type { Condition, ObjectMetadata } from "./pod-object.ts";

/** The group of the objects whose controller makes pods of agents, each a single one that may be suspended. */
export const SANDBOX_GROUP = "agents.x-k8s.io";
/** Its versions that can be read here, the best first. */
export const SANDBOX_VERSIONS = ["v1beta1", "v1alpha1"] as const;

/** A Sandbox object as the API server tells it: what is read of it. */
export interface SandboxObject {
  readonly metadata: ObjectMetadata;
  readonly spec?: {
    /** `Running` or `Suspended`, from v1beta1 on. */
    readonly operatingMode?: string;
    /** 1 or 0: the same in v1alpha1. */
    readonly replicas?: number;
    readonly podTemplate?: {
      readonly metadata?: Pick<ObjectMetadata, "labels" | "annotations">;
    };
  };
  readonly status?: {
    readonly nodeName?: string;
    readonly conditions?: readonly Condition[];
  };
}

/**
 * @param version which one the API server has by now.
 * @param all also those that name no agent.
 */
export function sandboxKind({
  version,
  all,
}: {
  readonly version: () => string;
  readonly all: boolean;
}): Kind<SandboxObject> {
  return {
    source: "sandbox",
    get api() {
      return `/apis/${SANDBOX_GROUP}/${version()}`;
    },
    plural: "sandboxes",
    isOurs: (sandbox) => all || AGENT_LABEL in labelsOf(sandbox),
    identityOf,
    factsOf,
    keyOf: ({ fact, at, incarnation, reason, desired, node, labels }) => {
      // Of its forms that say the same the first is told.
      const when = incarnation === null ? at : null;
      return shortKey(JSON.stringify([fact, when, reason, desired, node, labels]));
    },
    isWhole: true,
    mayVanish: true,
  };
}

function identityOf(sandbox: SandboxObject): PodIdentity {
  const { uid, name, namespace } = sandbox.metadata;
  const node = sandbox.status?.nodeName || null;
  return {
    source: "sandbox",
    podUid: uid,
    podName: name,
    namespace,
    node,
    labels: labelsOf(sandbox),
  };
}

/** Its own come before those that it gives to its pod. */
function labelsOf({ metadata, spec }: SandboxObject): PodIdentity["labels"] {
  const ofPod = spec?.podTemplate?.metadata;
  return ownLabels(ofPod?.annotations, ofPod?.labels, metadata.annotations, metadata.labels);
}

/** That it was made, and the form in which it is. */
function factsOf(sandbox: SandboxObject): LifecycleFact[] {
  const identity = { ...identityOf(sandbox), container: null };
  const { creationTimestamp, resourceVersion = "-" } = sandbox.metadata;
  const made = new Date(creationTimestamp).toISOString();
  const { fact, reason } = formOf(sandbox);
  return [
    { ...identity, incarnation: null, fact: "create", at: made },
    {
      ...identity,
      incarnation: resourceVersion,
      fact,
      at: changedAt(sandbox),
      ...(reason === undefined || reason === "" ? {} : { reason: reason.slice(0, 200) }),
      desired: desiredOf(sandbox),
    },
  ];
}

type Form = Pick<LifecycleFact, "fact" | "reason">;

/** What its controller observes. `Ready` decides: a condition `Suspended` may be left over from before. */
function formOf({ metadata, status }: SandboxObject): { fact: Form["fact"]; reason?: string } {
  const conditions = status?.conditions ?? [];
  const [ready, suspended, finished, scheduled] = [
    "Ready",
    "Suspended",
    "Finished",
    "PodScheduled",
  ].map((type) => conditions.find((each) => each.type === type));
  if (metadata.deletionTimestamp !== undefined) return { fact: "preStop" };
  if (ready?.status === "True") return { fact: "ready" };
  if (ready?.reason === "SandboxSuspended") {
    return because(suspended?.status === "True" ? "paused" : "preStop", suspended);
  }
  if (ready?.reason === "SandboxExpired") return because("exit", ready);
  if (finished?.status === "True") return because("exit", finished);
  if (scheduled?.status === "False") return because("start", scheduled);
  return ready === undefined ? { fact: "create" } : because("start", ready);
}

function because(
  fact: Form["fact"],
  condition: Condition | undefined,
): { fact: Form["fact"]; reason?: string } {
  const { reason } = condition ?? {};
  return reason === undefined ? { fact } : { fact, reason };
}

function desiredOf({ metadata, spec, status }: SandboxObject): Desired {
  if (metadata.deletionTimestamp !== undefined) return "deleted";
  const ready = status?.conditions?.find(({ type }) => type === "Ready");
  if (ready?.reason === "SandboxExpired") return "stopped";
  const isSuspended = spec?.operatingMode === "Suspended" || spec?.replicas === 0;
  return isSuspended ? "paused" : "running";
}

/** When it came to be as it is, by the clock of the API server: so the same form tells the same. */
function changedAt({ metadata, status }: SandboxObject): string {
  const { creationTimestamp, deletionTimestamp, managedFields = [] } = metadata;
  const all = [
    creationTimestamp,
    deletionTimestamp,
    ...managedFields.map(({ time }) => time),
    ...(status?.conditions ?? []).map(({ lastTransitionTime }) => lastTransitionTime),
  ].map((time) => Date.parse(time ?? ""));
  return new Date(Math.max(...all.filter((ms) => Number.isFinite(ms)))).toISOString();
}
