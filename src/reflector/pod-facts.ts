import { definedOnly } from "../state/defined.ts";
import type { Fact, LifecycleFact } from "../state/lifecycle-fact.ts";
import { isOver } from "./pod-object.ts";
import type { Condition, ContainerStatus, PodObject, Terminated } from "./pod-object.ts";

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
const MAX_LABEL = 256;
const MAX_LABELS = 128;
/** On its way, and no reason to wait. */
const USUAL_WAITS: readonly (string | undefined)[] = [
  undefined,
  "ContainerCreating",
  "PodInitializing",
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
    labels: ownLabels(metadata.annotations, metadata.labels),
  };
}

/**
 * All that the present form of a pod tells, in the order in which it happened. The times are the cluster's own, so
 * the same form tells the same facts, whoever reads it and however often.
 */
export function factsOf(pod: PodObject): LifecycleFact[] {
  const identity = identityOf(pod);
  const { initContainerStatuses = [], containerStatuses = [], phase } = pod.status ?? {};
  // One that failed is started again until the pod itself has failed.
  const failedInit =
    phase === "Failed"
      ? initContainerStatuses.filter(({ state }) => hasFailed(state?.terminated))
      : [];
  return [
    ...beginning(pod),
    ...[...failedInit, ...containerStatuses].flatMap((status) => ofContainer(pod, status)),
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

function readiness(pod: PodObject): Told[] {
  const ready = conditionOf(pod, "Ready");
  return ready?.status === "True" ? [ofPod("ready", timeOf(pod, ready))] : [];
}

function ending(pod: PodObject): Told[] {
  const { deletionTimestamp, deletionGracePeriodSeconds = 0 } = pod.metadata;
  const { phase, reason, containerStatuses = [] } = pod.status ?? {};
  const disrupted = conditionOf(pod, "DisruptionTarget");
  const ready = conditionOf(pod, "Ready");
  const told: Told[] = [];
  if (deletionTimestamp !== undefined) {
    // It says when the patience ends.
    const since = Date.parse(deletionTimestamp) - deletionGracePeriodSeconds * 1000;
    told.push(ofPod("preStop", new Date(since).toISOString()));
  }
  if (disrupted?.status === "True") {
    told.push(ofPod("evicted", timeOf(pod, disrupted), disrupted.reason));
  } else if (phase === "Failed" && (reason === "Evicted" || containerStatuses.length === 0)) {
    // Put away, or never let in, by its node.
    told.push(ofPod("evicted", timeOf(pod, ready), reason));
  }
  if (phase === "Unknown" || reason === "NodeLost") {
    told.push(ofPod("nodeLost", timeOf(pod, ready), reason));
  }
  // It goes as soon as this is known.
  if (isOver(pod) && deletionTimestamp !== undefined)
    told.push(ofPod("deleted", deletionTimestamp));
  return told;
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
  if (end > 0) return new Date(end + 1).toISOString();
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

function hasFailed(ended: Terminated | undefined): boolean {
  return ended !== undefined && ended.exitCode !== 0;
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
