import { definedOnly } from "../state/defined.ts";
import type { Fact, LifecycleFact } from "../state/lifecycle-fact.ts";
import { isOver } from "./pod-object.ts";
import type {
  Condition,
  ContainerStatus,
  ObjectMetadata,
  PodObject,
  PodSpec,
  Terminated,
} from "./pod-object.ts";

/** What every fact about a pod says of it. */
export type PodIdentity = Pick<
  LifecycleFact,
  "source" | "podUid" | "podName" | "namespace" | "node" | "labels"
>;

/** Which pod, and where it is or was. */
export type PodPlace = Pick<PodIdentity, "podUid" | "podName" | "namespace">;

type Told = Pick<LifecycleFact, "container" | "incarnation" | "fact" | "at"> &
  Partial<Pick<LifecycleFact, "exitCode" | "signal" | "reason">>;

/** Labels and annotations that mean something here. */
const OURS = /^(agentruntime\.dev|agents\.x-k8s\.io)\//;
const PROPER = "agentruntime.dev/containers";
const MAX_LABEL = 256;
const MAX_LABELS = 128;
/** On its way, and no reason to wait. */
const USUAL_WAITS: readonly (string | undefined)[] = [
  undefined,
  "ContainerCreating",
  "PodInitializing",
];

/** Why somebody deletes a pod: its node then stops it as it stops any. */
const DELETED_FOR: readonly (string | undefined)[] = [
  "EvictionByEvictionAPI",
  "PreemptionByScheduler",
  "DeletionByTaintManager",
];

type Labels = Readonly<Record<string, string>>;

/** Of labels and annotations those that mean something here; of one name the last counts. */
export function ownLabels(...all: readonly (Labels | undefined)[]): Labels {
  const ours = Object.entries(Object.assign({}, ...all) as Labels)
    .filter(([name, value]) => OURS.test(name) && value.length <= MAX_LABEL)
    .slice(0, MAX_LABELS);
  return Object.fromEntries(ours);
}

export function identityOf({ metadata, spec }: PodObject): PodIdentity {
  return {
    source: "pod",
    podUid: metadata.uid,
    podName: metadata.name,
    namespace: metadata.namespace,
    node: spec?.nodeName ?? null,
    labels: ownLabels(metadata.annotations, metadata.labels, properLabel(spec)),
  };
}

/** The names of its containers proper, by which they are told from those that prepare it or help it; none where they are too long. */
function properLabel({ containers = [] }: PodSpec = {}): Labels {
  const names = containers.map(({ name }) => name).join(",");
  return names === "" || names.length > MAX_LABEL ? {} : { [PROPER]: names };
}

/**
 * All that the present form of a pod tells, in the order in which it happened. The times are the cluster's own, so
 * the same form tells the same facts, whoever reads it and however often.
 */
export function factsOf(pod: PodObject): LifecycleFact[] {
  const identity = identityOf(pod);
  const { containerStatuses = [] } = pod.status ?? {};
  return [
    ...beginning(pod),
    ...preparation(pod, PROPER in identity.labels),
    ...containerStatuses.flatMap((status) => ofContainer(pod, status)),
    ...readiness(pod),
    ...ending(pod),
  ].map((told) => ({ ...identity, ...told, at: new Date(told.at).toISOString() }));
}

/** That a pod is there no more; the API server does not tell since when. */
export function deletedFact(identity: PodIdentity, now: number): LifecycleFact {
  return { ...identity, ...ofPod("deleted", new Date(now).toISOString()) };
}

function beginning(pod: PodObject): Told[] {
  const scheduled = conditionOf(pod, "PodScheduled");
  const reason = scheduled?.status === "False" ? scheduled.reason : undefined;
  const created = ofPod("create", pod.metadata.creationTimestamp, reason);
  if (scheduled?.status !== "True") return [created];
  return [created, ofPod("scheduled", timeOf(pod, scheduled))];
}

/**
 * Of its init containers. One that fails is started again, until the pod itself has failed for it: that is told of the pod.
 *
 * @param isTold that they are none of those that decide; otherwise only that one of them failed the pod is told.
 */
function preparation(pod: PodObject, isTold: boolean): Told[] {
  const { initContainerStatuses = [], phase } = pod.status ?? {};
  const helpers = (pod.spec?.initContainers ?? []).filter(
    (each) => each.restartPolicy === "Always",
  );
  const isBlamed = ({ name, state }: ContainerStatus): boolean =>
    phase === "Failed" &&
    (state?.terminated?.exitCode ?? 0) !== 0 &&
    !helpers.some((helper) => helper.name === name);
  const blamed = initContainerStatuses.filter(isBlamed).flatMap((each) => ofContainer(pod, each));
  if (!isTold) return blamed;
  const all = initContainerStatuses.flatMap((each) => ofContainer(pod, each));
  const ends = blamed.filter(({ fact }) => fact === "exit").slice(-1);
  return [...all, ...ends.map((end) => ({ ...end, container: null, incarnation: null }))];
}

function readiness(pod: PodObject): Told[] {
  const ready = conditionOf(pod, "Ready");
  if (ready?.status !== "True") return [];
  const since = timeOf(pod, ready);
  const said = readySaidAt(pod.metadata);
  return [ofPod("ready", said !== undefined && said > since ? said : since)];
}

/** When somebody said last that it is ready. A node that was lost and comes back gives the time of before as that of the condition. */
function readySaidAt({ managedFields = [] }: ObjectMetadata): string | undefined {
  const path = ["f:status", "f:conditions", 'k:{"type":"Ready"}', "f:status"];
  const isOf = (fields: unknown): boolean =>
    path.reduce<unknown>(
      (at, name) => (at as Record<string, unknown> | undefined)?.[name],
      fields,
    ) !== undefined;
  return managedFields.find(({ fieldsV1 }) => isOf(fieldsV1))?.time ?? undefined;
}

function ending(pod: PodObject): Told[] {
  const { deletionTimestamp, deletionGracePeriodSeconds = 0 } = pod.metadata;
  const { phase, reason } = pod.status ?? {};
  const told: Told[] = [];
  if (deletionTimestamp !== undefined) {
    // It says when the patience ends.
    const since = Date.parse(deletionTimestamp) - deletionGracePeriodSeconds * 1000;
    told.push(ofPod("preStop", new Date(since).toISOString(), disruptionOf(pod)?.reason));
  }
  told.push(...eviction(pod));
  if (phase === "Unknown" || reason === "NodeLost" || isOnLostNode(pod)) {
    told.push(ofPod("nodeLost", timeOf(pod, conditionOf(pod, "Ready")), reason));
  }
  // It goes as soon as this is known.
  if (isOver(pod) && deletionTimestamp !== undefined)
    told.push(ofPod("deleted", deletionTimestamp));
  return told;
}

/**
 * That a pod was put away, or never let in, by its node. One that is about to be, because of a drain, of another pod or of its
 * node's taints, is deleted like any other: until it has ended, it may stop in good order.
 */
function eviction(pod: PodObject): Told[] {
  const { phase, reason, containerStatuses = [] } = pod.status ?? {};
  if (phase !== "Failed") return [];
  const disruption = disruptionOf(pod);
  if (disruption !== undefined && !DELETED_FOR.includes(disruption.reason)) {
    return [ofPod("evicted", timeOf(pod, disruption), reason || disruption.reason)];
  }
  if (reason !== "Evicted" && containerStatuses.length > 0) return [];
  return [ofPod("evicted", timeOf(pod, conditionOf(pod, "Ready")), reason)];
}

function disruptionOf(pod: PodObject): Condition | undefined {
  const disruption = conditionOf(pod, "DisruptionTarget");
  return disruption?.status === "True" ? disruption : undefined;
}

/**
 * Whether its node is heard of no more: the controller of nodes then takes `Ready` from the pod and leaves everything else, while
 * a kubelet gives a reason with it.
 */
function isOnLostNode(pod: PodObject): boolean {
  const ready = conditionOf(pod, "Ready");
  const isOurs = ready?.status === "False" && (ready.reason ?? "") === "";
  return isOurs && conditionOf(pod, "ContainersReady")?.status === "True";
}

function ofContainer(
  pod: PodObject,
  { name, state, lastState, containerID }: ContainerStatus,
): Told[] {
  const before = lastState?.terminated;
  const told = before === undefined ? [] : run(pod, name, before);
  if (state?.terminated !== undefined)
    return [...told, ...run(pod, name, state.terminated, containerID)];
  const startedAt = state?.running?.startedAt;
  if (typeof startedAt === "string") {
    return [
      ...told,
      { container: name, incarnation: idOf(containerID), fact: "start", at: startedAt },
    ];
  }
  const reason = state?.waiting?.reason;
  if (USUAL_WAITS.includes(reason)) return told;
  return [
    ...told,
    {
      container: name,
      incarnation: null,
      fact: "create",
      at: waitsSince(pod, before),
      ...because(reason),
    },
  ];
}

/** A run that is over, from its begin on. */
function run(pod: PodObject, container: string, ended: Terminated, id?: string): Told[] {
  const { startedAt, finishedAt, exitCode, signal, reason } = ended;
  const of = { container, incarnation: idOf(ended.containerID ?? id) };
  const start: Told[] =
    typeof startedAt === "string" && Date.parse(startedAt) > 0
      ? [{ ...of, fact: "start", at: startedAt }]
      : [];
  const isKnown = typeof finishedAt === "string" && Date.parse(finishedAt) > 0;
  const at = isKnown ? finishedAt : timeOf(pod, conditionOf(pod, "Ready"));
  // The code of one that nobody saw end is made up.
  const how =
    reason === "ContainerStatusUnknown"
      ? {}
      : { exitCode, ...definedOnly({ signal: signal || undefined }) };
  const why = reason === "Completed" || reason === "Error" ? {} : because(reason);
  return [...start, { ...of, fact: "exit", at, ...how, ...why }];
}

/** Nobody tells when a container began to wait: after the run before it, or when its pod came to the node. */
function waitsSince(pod: PodObject, before: Terminated | undefined): string {
  const end = Date.parse(before?.finishedAt ?? "");
  // That is the second in which it ended. Who waits does so for a second at least.
  if (end > 0) return new Date(end + 1_000).toISOString();
  return timeOf(pod, conditionOf(pod, "PodScheduled"));
}

/** Errors and the pauses after them come in turn, and mean the same. */
function because(reason: string | undefined): { reason?: string } {
  if (reason === undefined || reason === "") return {};
  return { reason: reason === "ErrImagePull" ? "ImagePullBackOff" : reason.slice(0, 200) };
}

function ofPod(fact: Fact, at: string, reason?: string): Told {
  return { container: null, incarnation: null, fact, at, ...because(reason) };
}

function conditionOf({ status }: PodObject, type: string): Condition | undefined {
  return status?.conditions?.find((condition) => condition.type === type);
}

function timeOf({ metadata }: PodObject, condition: Condition | undefined): string {
  return condition?.lastTransitionTime ?? metadata.creationTimestamp;
}

/** `containerd://c0ffee`: the runtime's own id is what its bus tells too. */
function idOf(containerId: string | undefined): string | null {
  return containerId?.replace(/^[^/]*:\/\//, "").slice(0, 128) || null;
}
